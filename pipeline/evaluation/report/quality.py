"""What the candles are like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

from pipeline.evaluation.report.facts import Facts
from pipeline.evaluation.report.figures import count, minute, percent, plain, things, words
from pipeline.evaluation.report.layout import Place, figure, lede, pairs, section, table
from pipeline.evaluation.report.markup import Content, Html, bare
from pipeline.market.checks.breach import WIDE
from pipeline.market.pool import MEMBERS
from pipeline.market.pool_quality import LEFT_OUT

NAMES = {
    "candles": "Candles",
    "first": "First",
    "last": "Last",
    "missing": "Missing candles",
    "holes": "Holes",
    "longest_hole": "Longest hole",
    "history_short": "History shorter than asked for",
    "missing_no_trade": "Missing because nothing was traded",
    "missing_outage": "Missing because the venue stood still",
    "missing_unknown": "Missing, reason unknown",
    "longest_no_trade": "Longest time without a trade",
    "longest_outage": "Longest standstill of the venue",
    "longest_unknown": "Longest hole, reason unknown",
    "revised": "Candles whose source told other values before",
    "dropped": "Rows dropped by a check",
    "quarantined": "Rows set aside by a check",
    "broken": "What checks found",
    "feed": "Feed",
}
ISO = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:\+00:00|Z)")
MOMENTS = ("first", "last")
EACH = ("candles", "first", "last", "missing")


def quality(facts: Facts, place: Place) -> Html:
    """Every key of the quality facts, those known first and in words."""
    known = [key for key in NAMES if key in facts]
    other = sorted(key for key in facts if key not in (*NAMES, MEMBERS))
    entries = [(_name(key), _value(key, facts[key])) for key in [*known, *other]]
    return section(
        place,
        "data",
        "The candles",
        lede(" ".join(_finding(facts))),
        figure(pairs(entries)),
        _members(facts[MEMBERS]) if MEMBERS in facts else None,
    )


def _members(members: Facts) -> Html:
    rows: list[list[Content]] = [
        [bare(name), bare(f"left out: {facts[LEFT_OUT]}"), "", "", ""]
        if LEFT_OUT in facts
        else [bare(name), *(_value(key, facts[key]) for key in EACH)]
        for name, facts in members.items()
    ]
    header = ("Market", *(NAMES[key] for key in EACH))
    return figure(table(header, rows, "Candles of each market", "numbers"))


def _finding(facts: Facts) -> Iterator[str]:
    missing, candles = facts.get("missing"), facts.get("candles")
    if isinstance(missing, int) and isinstance(candles, int) and candles:
        if missing == 0:
            yield f"{things(candles, 'candle')}, none missing in between."
        else:
            holes = facts.get("holes")
            where = f" in {things(holes, 'hole')}" if isinstance(holes, int) else ""
            part = percent(missing / (candles + missing), 2)
            yield f"{things(candles, 'candle')}; {count(missing)} are missing{where} ({part})."
    if facts.get("history_short") is True:
        yield "History begins later than was asked for."
    yield "Nothing is ever filled in or repaired."


def _name(key: str) -> Content:
    return NAMES.get(key) or bare(words(key))


def _value(key: str, value: Any) -> Content:
    if key in MOMENTS and isinstance(value, str):
        try:
            return f"{minute(pd.Timestamp(value))} UTC"
        except ValueError:
            return bare(value)
    if key == "broken":
        return bare(_in_words(str(value)))
    if key.startswith("longest_") and isinstance(value, int):
        return things(value, "candle")
    return bare(plain(value))


def _in_words(found: str) -> str:
    """What checks found, without the names that only a configuration uses."""
    if not found:
        return "nothing"
    for name, meaning in WIDE.items():
        found = found.replace(f"{name}: {meaning}", meaning)
    return ISO.sub(lambda each: f"{minute(each[0])} UTC", found)
