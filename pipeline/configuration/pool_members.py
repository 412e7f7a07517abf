"""Replacing the names under a pool's ``members:`` by what their files in conf say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config import Node, read_yaml
from pipeline.errors import ConfigError, nearest
from pipeline.market.pool import MEMBERS


def with_members(market: Mapping[str, Any], conf: Path) -> Node:
    """The pool with each member's whole node; a single market as it is.

    Raises
    ------
    ConfigError
        When a name is no option of ``conf/market``, or is a pool itself.
    """
    names = market.get(MEMBERS)
    if not isinstance(names, list):
        return dict(market)
    valid = sorted(path.stem for path in (conf / "market").glob("*.yaml"))
    return {**market, MEMBERS: [_node(name, conf, valid) for name in names]}


def _node(name: Any, conf: Path, valid: Sequence[str]) -> Node:
    if name not in valid:
        raise ConfigError(
            f"there is no market '{name}'",
            where=f"market.{MEMBERS}",
            fix=nearest(str(name), valid),
        )
    node = read_yaml(conf / "market" / f"{name}.yaml")
    if MEMBERS in node:
        raise ConfigError(
            f"{name} has members of its own",
            where=f"market.{MEMBERS}",
            fix="name these instead",
        )
    return node
