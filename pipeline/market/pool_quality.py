"""What the candles of a pool are like: each member, and all together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.market.pool import MEMBERS
from pipeline.market.quality import BETWEEN

Facts = Mapping[str, Any]
LEFT_OUT = "left_out"
MOST = ("longest_", "history_short")  # keys, or how they begin, of which the highest counts
ENDS = {"first": min, "last": max}


def pooled(members: Mapping[str, Facts]) -> dict[str, Any]:
    """The facts of ``data/quality.json`` for a pool, with those of each member below them.

    Counts are sums over the members that were not left out, longest stretches the longest of any;
    what checks found names the member.

    Parameters
    ----------
    members
        What `pipeline.market.quality.Quality.to_dict` gave for each, or why it was left out.

    Examples
    --------
    >>> one = {"candles": 9, "first": "2025-01-02", "missing": 1, "longest_hole": 1, "broken": ""}
    >>> other = one | {"first": "2025-01-01", "longest_hole": 3, "broken": "revised: 1 row"}
    >>> found = pooled({"KRW-BTC": one, "KRW-SOL": other, "KRW-XRP": {"left_out": "too few"}})
    >>> [found[key] for key in ("candles", "first", "missing", "longest_hole")]
    [18, '2025-01-01', 2, 3]
    >>> found["broken"]
    'KRW-SOL revised: 1 row; KRW-XRP left out: too few'
    """
    kept = {name: facts for name, facts in members.items() if LEFT_OUT not in facts}
    keys = dict.fromkeys(key for facts in kept.values() for key in facts if key != "broken")
    told: dict[str, Any] = {
        key: _together(key, [facts[key] for facts in kept.values() if key in facts]) for key in keys
    }
    broken = [
        f"{name} {check}"
        for name, facts in kept.items()
        for check in facts["broken"].split(BETWEEN)
        if check
    ]
    broken += [
        f"{name} left out: {members[name][LEFT_OUT]}" for name in members if name not in kept
    ]
    return {**told, "broken": BETWEEN.join(broken), MEMBERS: {**members}}


def _together(key: str, values: list[Any]) -> Any:
    if key in ENDS:
        return ENDS[key](values)
    return max(values) if key.startswith(MOST) else sum(values)
