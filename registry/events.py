"""What became known of a version, told for people: a line or two for each event."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from registry.tables import cell

WIDTH = 96
MINUTES = 16  # characters of a moment, to the minute
ANYWHERE = ("at", "event", "digest", "signature", "words", "task")
TAGGED, UNTAGGED, JUDGED = "tagged", "untagged", "judged"
BEHIND = {
    "judged": ("outcome", "conditions"),
    "built": ("seconds", "cpu_seconds", "peak_mb"),
    "pending": ("reason", "generation"),
}


def event_line(event: Mapping[str, Any]) -> str:
    """Date, what happened, and its key figures.

    Examples
    --------
    >>> print(event_line({"at": "2025-12-20T01:02:03+00:00", "event": "revised", "candles": 3}))
    2025-12-20 01:02  revised     candles 3
    """
    at = cell(event.get("at"))[:MINUTES].replace("T", " ")
    lead = f"{at:<{MINUTES}}  {cell(event.get('event')):<10}  "
    told = "; ".join(_told(event))
    hanging = " " * len(lead)
    return textwrap.fill(lead + told, WIDTH, subsequent_indent=hanging, break_on_hyphens=False)


def tags(events: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Tags that a version carries now, in the order they were given.

    Examples
    --------
    >>> tags([{"event": "tagged", "tag": "a"}, {"event": "untagged", "tag": "a"}])
    ()
    """
    carried: dict[str, None] = {}
    for event in events:
        if event.get("event") == TAGGED:
            carried[str(event.get("tag"))] = None
        elif event.get("event") == UNTAGGED:
            carried.pop(str(event.get("tag")), None)
    return tuple(carried)


def promoted_by_gate(events: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the gate's last word on a version was to promote it.

    Examples
    --------
    >>> promoted_by_gate([{"event": "judged", "outcome": "observe"}])
    False
    """
    words = [event.get("outcome") for event in events if event.get("event") == JUDGED]
    return bool(words) and words[-1] == "promote"


def last_word(events: Iterable[Mapping[str, Any]]) -> str:
    """What the gate said of a version last, in lines; empty where it never judged it.

    Examples
    --------
    >>> last_word([{"event": "judged", "sentence": "Promote: …"}])
    'Promote: …'
    """
    words = [event.get("sentence") for event in events if event.get("event") == JUDGED]
    return textwrap.fill(cell(words[-1]), WIDTH, break_on_hyphens=False) if any(words[-1:]) else ""


def condition_rows(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each condition of the gate's last word on a version.

    Examples
    --------
    >>> told = {"name": "finite", "passed": True, "value": True, "limit": True, "reason": "…"}
    >>> condition_rows([{"event": "judged", "outcome": "observe", "conditions": [told]}])
    [{'condition': 'finite', 'holds': True, 'value': True, 'limit': True}]
    """
    words = [event for event in events if event.get("event") == JUDGED]
    return [
        {"condition": each.get("name"), "holds": each.get("passed")}
        | {key: each.get(key) for key in ("value", "limit")}
        for each in (words[-1].get("conditions", []) if words else [])
    ]


def _told(event: Mapping[str, Any]) -> Iterator[str]:
    name = str(event.get("event"))
    if name == "built":
        yield from _cost(event)
    for key, value in event.items():
        if key == "sentence":
            yield cell(value).rstrip(".")
        elif key not in (*ANYWHERE, *BEHIND.get(name, ())):
            yield from _fact(key, value)


def _cost(event: Mapping[str, Any]) -> Iterator[str]:
    seconds, cpu, peak = (_figures(event.get(key)) for key in BEHIND["built"])
    if seconds:
        stages = f"{len(seconds)} stage{'s' if len(seconds) > 1 else ''}"
        yield f"{stages} ({', '.join(seconds)}) in {sum(seconds.values()):.1f} s"
    if cpu:
        yield f"{sum(cpu.values()):.1f} CPU s"
    if peak:
        yield f"at most {max(peak.values()):.0f} MiB"


def _figures(node: Any) -> dict[str, float]:
    named = node if isinstance(node, Mapping) else {}
    return {cell(key): value for key, value in named.items() if isinstance(value, int | float)}


def _fact(key: str, value: Any) -> Iterator[str]:
    name = cell(key).replace("_", " ")
    if isinstance(value, Mapping):
        for inner, each in value.items():
            if inner not in ANYWHERE:
                yield from _fact(inner, each)
    elif isinstance(value, list):
        yield f"{name} {len(value)}"
    elif value is not None:
        yield f"{name} {cell(value)}"
