"""What writes to the candle store, each as one piece of work that a crash may cut short."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.errors import VintageError
from pipeline.market import asking
from pipeline.market.partitions import months_of
from pipeline.market.store import CandleStore
from pipeline.market.sync import How, sync
from pipeline.market.transfer.archive import backup, restore
from pipeline.market.transfer.exporting import export
from pipeline.market.transfer.importing import Said, bring, look
from pipeline.market.writing import locked
from tests.stored import MARKET, SERIES, Venue, candles

FIRST, ROWS = "2025-01-25", 24 * 20
NOW = pd.Timestamp("2025-06-01T00:00Z")
BEFORE = candles(FIRST, ROWS)
QUIET = BEFORE.drop(index=BEFORE.index[[50, 200, 201, 202, 203, 204, 205]])
AFTER = QUIET.copy()
AFTER.loc[QUIET.index[[5, 125, 126, 350]], ["close", "volume"]] += 1
MIDDLE = BEFORE.index[150], BEFORE.index[250]
OLD, NEW, FILE = "old", "new", "candles.parquet"


@dataclass(frozen=True, slots=True)
class Work:
    """How a folder is prepared, what is done in it, and which frames a reader may see.

    `whole`: once the next writer has been there, all of one frame or all of the other.
    """

    prepare: Callable[[Path], None]
    act: Callable[[Path], None]
    allowed: tuple[pd.DataFrame, ...]
    outcome: pd.DataFrame
    whole: bool = False


def store_of(folder: Path) -> CandleStore:
    return CandleStore(folder / "store")


def run(folder: Path, served: pd.DataFrame, force: bool = False) -> None:
    start, end = BEFORE.index[0], BEFORE.index[-1] + pd.Timedelta(hours=1)
    how = How(now=NOW, force=force)
    sync(store_of(folder), Venue(served), MARKET, "1h", start, end, how)


def forced(folder: Path) -> None:
    run(folder, AFTER, force=True)


def middle(folder: Path) -> None:
    store_of(folder).append(SERIES, QUIET.loc[MIDDLE[0] : MIDDLE[1]])


def nothing(folder: Path) -> None:
    folder.mkdir(exist_ok=True)


def whole(folder: Path) -> None:
    run(folder, QUIET)


def revised_tail(folder: Path) -> None:
    """The middle, its last candle with another value than the source has now."""
    part = QUIET.loc[MIDDLE[0] : MIDDLE[1]].copy()
    part.iloc[-1, 3] += 5
    store_of(folder).append(SERIES, part)


def exported(folder: Path) -> None:
    other = CandleStore(folder / "other")
    other.append(SERIES, QUIET)
    export(other, SERIES, folder / FILE)
    middle(folder)


def backed_up(folder: Path) -> None:
    other = CandleStore(folder / "other")
    sync(other, Venue(AFTER), MARKET, "1h", BEFORE.index[0], BEFORE.index[-1])
    backup(other, folder / "backup.zip")
    whole(folder)


def bring_in(folder: Path) -> None:
    bring(look(folder / FILE, Said(), store_of(folder), NOW), store_of(folder))


def put_back(folder: Path) -> None:
    restore(store_of(folder), folder / "backup.zip", NOW, force=True)


def keep(folder: Path) -> None:
    backup(store_of(folder), folder / "kept.zip", overwrite=True)


WORKS = {
    "first sync": Work(nothing, whole, (QUIET,), QUIET),
    "sync": Work(revised_tail, whole, (QUIET,), QUIET),
    "force": Work(
        whole, lambda folder: run(folder, AFTER, force=True), (QUIET, AFTER), AFTER, True
    ),
    "import": Work(exported, bring_in, (QUIET,), QUIET),
    "restore": Work(backed_up, put_back, (QUIET, AFTER.iloc[:-1]), AFTER.iloc[:-1], True),
    "backup": Work(whole, keep, (QUIET,), QUIET),
}


def small_pieces() -> None:
    """Let a sync ask for 80 candles at a time."""
    asking.PIECE = 80


def wrong(folder: Path, work: Work, held: pd.DatetimeIndex) -> Iterator[str]:
    """What a reader sees now that it should not: torn, lost, or never served candles."""
    try:
        seen = store_of(folder).read(SERIES)
        store_of(folder).revisions(SERIES)
        store_of(folder).holes(SERIES)
    except VintageError as error:
        yield f"cannot be read: {error}"
        return
    lost = held.intersection(work.outcome.index).difference(seen.index)
    if len(lost):
        yield f"{len(lost)} candles are lost, {lost[0]} the first"
    for month in months_of(store_of(folder).folder(SERIES)):
        part = seen.loc[month.stem]
        if not any(_same(part, frame) for frame in work.allowed):
            yield f"{month.name} holds what was never served"


def halved(folder: Path, work: Work) -> Iterator[str]:
    """What is half replaced after the next writer took the lock."""
    with locked(store_of(folder).folder(SERIES)):
        seen = store_of(folder).read(SERIES)
    if work.whole and not any(seen.equals(frame) for frame in work.allowed):
        yield "the replacement is neither undone nor done"


def ended_wrong(folder: Path, work: Work, expected: dict[str, str]) -> Iterator[str]:
    """What is not as after the work was done without a crash."""
    if not store_of(folder).read(SERIES).equals(work.outcome):
        yield "other candles than the work is for"
    found = digests(folder)
    if found != expected:
        odd = [name for name in {*found, *expected} if found.get(name) != expected.get(name)]
        yield f"other bytes than without a crash: {', '.join(sorted(odd))}"
    left = [path.name for path in store_of(folder).folder(SERIES).glob(".*")]
    left = [name for name in left if name != ".lock" and not name.startswith(".generation-")]
    if left:
        yield f"left behind: {left}"


def digests(folder: Path) -> dict[str, str]:
    """Sha256 of every file of the series; when holes were confirmed is no part of it."""
    place = store_of(folder).folder(SERIES)
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(place.iterdir())
        if path.is_file() and path.name != ".lock"
    }


def _same(part: pd.DataFrame, frame: pd.DataFrame) -> bool:
    """The middle may still hold its last candle as it was before the source changed its mind."""
    common = frame.reindex(part.index)
    differ = (part != common).any(axis=1)
    return not differ.drop(MIDDLE[1], errors="ignore").any()
