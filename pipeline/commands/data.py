"""``vintage data sync|status``: the candle store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from pipeline.commands.arguments import checkout, parse, parser, with_words
from pipeline.commands.console import progress, table
from pipeline.config import home
from pipeline.errors import ConfigError, nearest
from pipeline.market.candles import duration
from pipeline.market.store import CandleStore
from pipeline.market.sync import SyncReport, sync
from pipeline.operations.target import resolve
from pipeline.stages.download import Config, span

HEADER = ("series", "rows", "first", "last", "missing")


def main(argv: Sequence[str]) -> int:
    """Bring candles into the store, or list what it holds."""
    made = parser(
        "data",
        "sync key=value …: fetch what the slot's cut needs. status: list what the store holds. "
        "forget SERIES: delete a series, to fetch it anew from a corrected source.",
        [
            "vintage data sync recipe=demo",
            "vintage data status",
            "vintage data forget replay/KRW-SOL/1h",
        ],
    )
    made.add_argument("action", choices=("sync", "status", "forget"))
    made.add_argument("--json", action="store_true", help="print JSON")
    asked = parse(with_words(made), argv)
    if asked.action == "forget":
        return _forget(asked.words)
    return _status(asked.json) if asked.action == "status" else _sync(asked.words, asked.json)


def _status(as_json: bool) -> int:
    store = CandleStore(home() / "data" / "store")
    rows: list[dict[str, Any]] = []
    for series in store.series():
        held = store.span(series)
        if held:
            slots = (held.last - held.first) // duration(series.timeframe) + 1
            ends = {"first": held.first.isoformat(), "last": held.last.isoformat()}
            missing = slots - held.rows
            rows.append({"series": str(series), "rows": held.rows, **ends, "missing": missing})
    if as_json:
        print(json.dumps(rows))
    elif rows:
        print(table(HEADER, [list(row.values()) for row in rows]))
    else:
        print("The store is empty. To fill it: vintage data sync recipe=demo")
    return 0


def _forget(names: Sequence[str]) -> int:
    store = CandleStore(home() / "data" / "store")
    held = {str(series): series for series in store.series()}
    for name in names:
        if name not in held:
            raise ConfigError(f"the store has no series '{name}'", fix=nearest(name, held))
    for name in names:
        store.forget(held[name])
        print(f"{name}: forgotten; vintage data sync fetches it anew")
    return 0


def _sync(words: Sequence[str], as_json: bool) -> int:
    target = resolve(words, checkout() / "conf", home(), pd.Timestamp.now(tz="UTC"))
    timeframe = target.plan.run.timeframe
    start, end = span(Config.parse(target.plan.stages["download"], "download"))
    with progress("sync") as show:
        show(str(target.series))
        report = sync(
            target.store, target.exchange, target.market.instrument, timeframe, start, end
        )
    print(json.dumps(_facts(report)) if as_json else _story(report))
    return 0


def _facts(report: SyncReport) -> dict[str, Any]:
    return {
        "series": str(report.series),
        "appended": report.appended,
        "first": report.first.isoformat() if report.first else None,
        "last": report.last.isoformat() if report.last else None,
    }


def _story(report: SyncReport) -> str:
    if report.first is None or report.last is None:
        return f"{report.series}: no candles in that span"
    return (
        f"{report.series}: {report.appended} new candles; the store holds "
        f"{report.first:%Y-%m-%d %H:%M} to {report.last:%Y-%m-%d %H:%M} UTC"
    )
