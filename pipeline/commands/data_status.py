"""``vintage data status`` and ``forget``: what the candle store holds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pandas as pd

from pipeline.commands.console import table
from pipeline.config import home
from pipeline.errors import ConfigError, DataError, nearest
from pipeline.market.candles import duration
from pipeline.market.feeds import address_of
from pipeline.market.generations import generations
from pipeline.market.holes import KINDS
from pipeline.market.store import CandleStore, Series
from pipeline.operations.retraining.revisions import mark_revised
from registry.versions import Registry

HEADER = ("series", "rows", "first", "last", "age", *KINDS, "revised")
AGES = (("d", 86_400), ("h", 3_600), ("min", 60))


def the_store() -> CandleStore:
    """The candle store below the home folder."""
    return CandleStore(home() / "data" / "store")


def held(store: CandleStore, name: str) -> Series:
    """Find a stored series by its name.

    Raises
    ------
    ConfigError
        Naming the nearest.
    """
    known = {str(series): series for series in store.series()}
    if name not in known:
        raise ConfigError(f"the store has no series '{name}'", fix=nearest(name, known))
    return known[name]


def keep_marks(store: CandleStore, every: Iterable[Series]) -> None:
    """Mark what learnt from revised candles before the journal that tells it goes."""
    registry, now = Registry(home() / "models" / "registry"), pd.Timestamp.now(tz="UTC")
    for series in every:
        with suppress(DataError):
            mark_revised(registry, store, series, now)


def main(asked: argparse.Namespace) -> int:
    """List every series: its span, what is missing and why, how old its last candle is.

    A damaged series is marked, and the command fails after the list; `asked.verify` reads every
    candle to find out.
    """
    store, now = the_store(), pd.Timestamp.now(tz="UTC")
    every = [held(store, name) for name in asked.words] if asked.words else store.series()
    rows: list[dict[str, Any]] = []
    damaged: list[DataError] = []
    for series in every:
        faults = store.faults(series) if asked.verify else []
        try:
            facts = _facts(store, series, now)
        except DataError as error:
            facts = {"series": str(series)}
            faults = faults or [error]
        rows.append(facts | {"damaged": [f"{fault.where}: {fault.found}" for fault in faults]})
        damaged += faults
    _tell(rows, asked)
    if damaged:
        raise damaged[0]
    return 0


def _tell(rows: list[dict[str, Any]], asked: argparse.Namespace) -> None:
    if asked.json:
        print(json.dumps(rows))
    elif rows:
        print(table(HEADER, [_line(row) for row in rows]))
        for note in (note for row in rows for note in _notes(row)):
            print(note)
    else:
        print("The store is empty. To fill it: vintage data sync recipe=demo")


def forget(asked: argparse.Namespace) -> int:
    """Delete series."""
    store = the_store()
    every = [held(store, name) for name in asked.words]
    if not every:
        raise ConfigError("which series?", fix="vintage data forget SERIES; vintage data status")
    keep_marks(store, every)
    for series in every:
        store.forget(series)
        print(f"{series}: forgotten; vintage data sync fetches it anew")
    return 0


def _facts(store: CandleStore, series: Series, now: pd.Timestamp) -> dict[str, Any]:
    span = store.span(series)
    holes = store.holes(series)
    missing = {kind: sum(hole.candles for hole in holes if hole.kind == kind) for kind in KINDS}
    facts: dict[str, Any] = {
        "series": str(series),
        "feed": series.feed,
        "market": series.market,
        "timeframe": series.timeframe,
        "rows": span.rows if span else 0,
        "first": span.first.isoformat() if span else None,
        "last": span.last.isoformat() if span else None,
        "missing": sum(missing.values()),
        **missing,
        "revised": len(store.revisions(series)),
        "sources": store.sources(series),
        "base_url": address_of(store, series.feed),
        "generations": [kept.name for kept in generations(store.folder(series))],
    }
    if span:
        age = now - span.last - duration(series.timeframe)
        facts["age_seconds"] = int(age.total_seconds())
    return facts


def _notes(facts: dict[str, Any]) -> list[str]:
    """What has no room in the table: other sources, another base URL, damage."""
    told = [f"damaged: {fault}" for fault in facts["damaged"]]
    sources = facts.get("sources", {})
    if len(sources) > 1:
        from_each = ", ".join(f"{rows} from {source}" for source, rows in sources.items())
        told.append(f"{facts['series']}: {from_each}")
    if facts.get("base_url"):
        told.append(f"{facts['series']}: served at {facts['base_url']}")
    return told


def _line(facts: dict[str, Any]) -> list[Any]:
    if facts["damaged"]:
        return [facts["series"], "damaged", *[""] * (len(HEADER) - 2)]
    ends = [facts[name][:16].replace("T", " ") for name in ("first", "last")]
    counts = [facts[kind] for kind in KINDS]
    return [facts["series"], facts["rows"], *ends, _age(facts), *counts, facts["revised"]]


def _age(facts: dict[str, Any]) -> str:
    seconds = max(0, facts["age_seconds"])
    unit, length = next((one for one in AGES if seconds >= 2 * one[1]), ("s", 1))
    return f"{seconds // length} {unit}"
