"""``vintage data sync``: bring a market's candles up to date."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.commands.arguments import checkout
from pipeline.commands.candle_bar import candle_bar
from pipeline.commands.console import progress
from pipeline.config import home
from pipeline.errors import ConfigError, DataError, RetryLater
from pipeline.market.candles import duration, moment
from pipeline.market.holes import KINDS
from pipeline.market.plan import Ends
from pipeline.market.sync import How, SyncReport, sync
from pipeline.operations.revisions import Marked, mark_revised
from pipeline.operations.target import Target, resolve
from pipeline.stages.download import Config, span
from registry.slots import Slot
from registry.versions import Registry

LONGEST_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Words of this verb alone, and those that choose a slot."""

    days: float | None
    since: pd.Timestamp | None
    words: list[str]


def main(asked: argparse.Namespace) -> int:
    """Fetch what is missing, tell what came."""
    wanted, now = _wanted(asked.words), pd.Timestamp.now(tz="UTC")
    with progress("sync") as show:
        show("asking for the newest candle")
        target = resolve(wanted.words, checkout() / "conf", home(), now)
    start, end = _ends(wanted, target)
    run = target.plan.run
    with candle_bar(str(target.series)) as bar:
        how = How(now=now, notify=bar, force=asked.force, repair=asked.repair)
        report = sync(
            target.store, target.exchange, run.market.instrument, run.timeframe, start, end, how
        )
    registry = Registry(home() / "models" / "registry")
    marked = mark_revised(registry, target.store, target.series, now)
    missing = _missing(target, start, end)
    if asked.json:
        print(json.dumps(_facts(report, missing, marked)))
    else:
        print("\n".join(_story(report, missing, marked, asked.repair)))
    _require_some(report, start, end)
    return 0


def _wanted(words: Sequence[str]) -> _Wanted:
    given: dict[str, str] = {}
    rest = []
    for word in words:
        key, _, value = word.partition("=")
        if key in ("days", "since"):
            given[key] = value
        else:
            rest.append(word)
    if len(given) > 1:
        raise ConfigError("days and since both say where to begin", fix="give one of them")
    since = moment(given["since"], "since") if "since" in given else None
    return _Wanted(_days(given["days"]) if "days" in given else None, since, rest)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = float("nan")
    if not 0 < days <= LONGEST_DAYS:
        raise ConfigError(
            "is no number of days", where="days", found=repr(text), expected="such as days=60"
        )
    return days


def _ends(wanted: _Wanted, target: Target) -> Ends:
    start, end = span(Config.parse(target.plan.stages["download"], "download"))
    if wanted.since is not None:
        start = wanted.since
    elif wanted.days is not None:
        start = end - pd.Timedelta(wanted.days, unit="D")
    if start >= end:
        raise ConfigError(
            "the span is empty",
            where="since",
            found=start.isoformat(),
            expected=f"before {end.isoformat()}, the close of the last candle",
        )
    return start.floor(duration(target.plan.run.timeframe)), end


def _missing(target: Target, start: pd.Timestamp, end: pd.Timestamp) -> dict[str, int]:
    holes = target.store.holes(target.series, start, end)
    return {kind: sum(hole.candles for hole in holes if hole.kind == kind) for kind in KINDS}


def _require_some(report: SyncReport, start: pd.Timestamp, end: pd.Timestamp) -> None:
    if report.first is None:
        raise DataError(
            "the source has no candle of the span",
            where=f"{report.series}; missing: {start.isoformat()} to {end.isoformat()}",
            fix="ask for another span (since=, days=), or correct the exchange or its files",
        )
    if report.unknown:
        raise RetryLater(
            "the source did not answer for every hole",
            where=str(report.series),
            found=f"{report.unknown} candles still missing; vintage data status lists them",
            fix="repeat later; what came is stored",
        )


def _facts(report: SyncReport, missing: dict[str, int], marked: list[Marked]) -> dict[str, Any]:
    return {
        "series": str(report.series),
        "asked": report.asked,
        "appended": report.appended,
        "revised": report.revised,
        "first": report.first.isoformat() if report.first else None,
        "last": report.last.isoformat() if report.last else None,
        "missing": missing,
        "recovered": report.recovered,
        "confirmed_empty": report.empty,
        "still_missing": report.unknown,
        "marked": [f"{one.slot} {one.version}" for one in marked],
    }


def _story(
    report: SyncReport, missing: dict[str, int], marked: list[Marked], repaired: bool
) -> list[str]:
    if report.first is None or report.last is None:
        return [f"{report.series}: no candles"]
    lines = [
        f"{report.series}: {report.appended} new candles; the store holds "
        f"{report.first:%Y-%m-%d %H:%M} to {report.last:%Y-%m-%d %H:%M} UTC"
    ]
    if report.revised:
        lines.append(
            f"  revised   {report.revised}: the source changed its mind; see vintage data status"
        )
    if repaired:
        lines.append(
            f"  repair    {report.recovered} recovered, {report.empty} confirmed empty, "
            f"{report.unknown} still missing"
        )
    if any(missing.values()):
        told = ", ".join(f"{count} {kind}" for kind, count in missing.items() if count)
        lines.append(f"  missing   {told}")
    for one in marked:
        slot = Slot.parse(one.slot)
        words = f"recipe={slot.recipe} market={slot.market}"
        words += f" exchange={slot.exchange}" if slot.exchange else ""
        count = "a candle" if one.candles == 1 else f"{one.candles} candles"
        lines.append(f"  revised   {slot} {one.version} learnt from {count} that changed since;")
        lines.append(f"            to replace it: vintage retrain {words}")
    return lines
