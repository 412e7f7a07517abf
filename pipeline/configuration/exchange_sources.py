"""Replacing the names under an exchange's ``sources:`` by what their files in conf say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config import Node, read_yaml
from pipeline.errors import ConfigError, nearest

KEY = "sources"


def with_sources(exchange: Mapping[str, Any], conf: Path, plugins: Sequence[str]) -> Node:
    """The exchange with each named source as its whole node; without ``sources:``, as it is.

    Raises
    ------
    ConfigError
        When a name is no option of ``conf/exchange``, or has sources of its own.
    """
    names = exchange.get(KEY)
    if not isinstance(names, list):
        return dict(exchange)
    valid = sorted(path.stem for path in (conf / "exchange").glob("*.yaml"))
    nodes = [_node(name, conf, valid) for name in names]
    return {**exchange, KEY: nodes, "plugins": list(plugins)}


def _node(name: Any, conf: Path, valid: Sequence[str]) -> Node:
    if isinstance(name, Mapping):
        return dict(name)
    if name not in valid:
        raise ConfigError(
            f"there is no exchange '{name}'",
            where="exchange.sources",
            fix=nearest(str(name), valid),
        )
    node = read_yaml(conf / "exchange" / f"{name}.yaml")
    if KEY in node:
        raise ConfigError(
            f"{name} has sources of its own", where="exchange.sources", fix="name these instead"
        )
    return node
