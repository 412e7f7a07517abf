"""What ``vintage data sync`` says of what it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.market.candles import duration
from pipeline.market.sync import How, SyncReport
from pipeline.operations.retraining.revisions import Marked
from pipeline.operations.target import Target
from registry.slots import Slot

OLD = pd.Timedelta(hours=48)  # and three candles: an older end of a source is remarked


@dataclass(frozen=True, slots=True)
class Came:
    """What a sync did, and for whom.

    `start` is what was asked for, `others` are candles of stand-in sources, by source.
    """

    report: SyncReport
    target: Target
    start: pd.Timestamp
    missing: dict[str, int]
    others: dict[str, int]
    marked: list[Marked]


def facts(came: Came) -> dict[str, Any]:
    """The same as plain values."""
    report = came.report
    return {
        "series": str(report.series),
        "asked": report.asked,
        "appended": report.appended,
        "revised": report.revised,
        "first": report.first.isoformat() if report.first else None,
        "last": report.last.isoformat() if report.last else None,
        "missing": came.missing,
        "from_other_sources": came.others,
        "recovered": report.recovered,
        "confirmed_empty": report.empty,
        "still_missing": report.unknown,
        "marked": [f"{one.slot} {one.version}" for one in came.marked],
    }


def story(came: Came, how: How) -> list[str]:
    """What came, what is missing, and what learnt from candles that changed since."""
    report = came.report
    if report.first is None or report.last is None:
        return [f"{report.series}: no candles"]
    lines = [
        f"{report.series}: {report.appended} new candles; the store holds "
        f"{report.first:%Y-%m-%d %H:%M} to {report.last:%Y-%m-%d %H:%M} UTC"
    ]
    if how.force:
        same = "" if report.appended or report.revised else ", all as stored"
        lines.append(f"  fetched   {report.came} anew{same}")
    for source, count in came.others.items():
        lines.append(f"  source    {count} from {source}: {report.series.feed} did not answer")
    if report.revised:
        lines.append(
            f"  revised   {report.revised}: the source changed its mind; see vintage data status"
        )
    if how.repair:
        lines.append(
            f"  repair    {report.recovered} recovered, {report.empty} missing for sure, "
            f"{report.unknown} not answered for"
        )
    if any(came.missing.values()):
        told = ", ".join(f"{count} {kind}" for kind, count in came.missing.items() if count)
        lines.append(f"  missing   {told}")
    return [*lines, *_ends(report, came.start, how.now), *_marks(came)]


def _ends(report: SyncReport, start: pd.Timestamp, now: pd.Timestamp | None) -> list[str]:
    """A source that begins after what was asked for, or ended long ago."""
    if report.first is None or report.last is None:
        return []
    lines, step = [], duration(report.series.timeframe)
    if report.first > start:
        lines.append(
            f"  begins    later than asked for: nothing is there from {start:%Y-%m-%d %H:%M} UTC"
        )
    age = None if now is None else now - report.last - step
    if age is not None and age > max(OLD, 3 * step):
        lines.append(f"  old       the newest candle closed {age.days} days ago")
    return lines


def _marks(came: Came) -> list[str]:
    lines, target = [], came.target
    for one in came.marked:
        slot = Slot.parse(one.slot)
        words = target.words if slot == target.slot else _words(slot)
        count = "a candle" if one.candles == 1 else f"{one.candles} candles"
        lines.append(f"  revised   {slot} {one.version} learnt from {count} that changed since;")
        lines.append(f"            to replace it: vintage retrain {words}")
    return lines


def _words(slot: Slot) -> str:
    exchange = f" exchange={slot.exchange}" if slot.exchange else ""
    return f"recipe={slot.recipe} market={slot.market}{exchange}"
