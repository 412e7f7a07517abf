"""What a version was asked: its timeframe, its heads, and each head's label."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.config import Node
from registry.files import sha256


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that the champion and the candidate were told differently."""

    what: str
    champion: Any
    candidate: Any


def task_changes(told: Node, asked: Node) -> Iterator[Change]:
    """What two labels stages were told differently: timeframe, heads, and each head's label.

    Keys that only one of them knows are no change: an option that came with a newer release.

    Examples
    --------
    >>> told = {"timeframe": "1h", "heads": {"direction": {"horizon_hours": 24}}}
    >>> asked = {"timeframe": "1h", "heads": {"direction": {"horizon_hours": 12, "ties": "drop"}}}
    >>> [(change.what, change.champion, change.candidate) for change in task_changes(told, asked)]
    [('heads.direction.horizon_hours', 24, 12)]
    """
    if told["timeframe"] != asked["timeframe"]:
        yield Change("timeframe", told["timeframe"], asked["timeframe"])
    own, other = told["heads"], asked["heads"]
    if own.keys() != other.keys():
        yield Change("heads", ", ".join(sorted(own)), ", ".join(sorted(other)))
    for head in sorted(own.keys() & other.keys()):
        yield from _node_changes(f"heads.{head}", own[head], other[head])


def task_digest(labels: Node) -> str:
    """Stand for all that a labels stage was told.

    Examples
    --------
    >>> task_digest({"timeframe": "1h", "heads": {}})[:8]
    'ddf9c8fd'
    """
    return sha256(json.dumps(labels, sort_keys=True).encode())


def _node_changes(what: str, told: Any, asked: Any) -> Iterator[Change]:
    if isinstance(told, dict) and isinstance(asked, dict):
        for key in sorted(told.keys() & asked.keys()):
            yield from _node_changes(f"{what}.{key}", told[key], asked[key])
    elif told != asked:
        yield Change(what, told, asked)
