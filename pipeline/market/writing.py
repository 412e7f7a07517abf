"""How candles enter a series: compared with what is stored, then month by month, outwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from pipeline.errors import DataError
from pipeline.market import generations, holes, revisions, sources
from pipeline.market.candles import COLUMNS, REQUIRED, TIME
from pipeline.market.partitions import (
    by_month,
    columns_of,
    encode,
    load,
    load_times,
    months_of,
)
from pipeline.market.revisions import compare
from pipeline.market.series import Series, Written
from registry.files import write_atomic

LOCK = ".lock"
REVISED = "find out which is right; to take the source's, vintage data forget {series}, then sync"
SIDECARS = (holes.FILE, revisions.FILE, sources.FILE)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only writer of a series, after what a killed one left is cleared away."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / LOCK):
        generations.recover(folder)
        yield


@dataclass(frozen=True, slots=True)
class Incoming:
    """A candle frame in the form in which it is stored, and where each row came from."""

    candles: pd.DataFrame
    named: pd.Series

    @classmethod
    def of(cls, candles: pd.DataFrame, series: Series) -> Incoming:
        """Take a candle frame apart; a column ``source`` names who sent a row.

        Raises
        ------
        DataError
            When it is no candle frame.
        """
        numbers = candles.drop(columns=sources.COLUMN, errors="ignore")
        frame = _canonical(numbers, str(series))
        named = candles.get(sources.COLUMN, series.feed)
        senders = pd.Series(named, index=frame.index, dtype=object)
        return cls(frame, senders.where(senders.notna(), series.feed))


@dataclass(frozen=True, slots=True)
class Merge:
    """What storing some candles would do to a series.

    Parameters
    ----------
    months
        Every month that changes, as it will be, by file name.
    lines
        What joins the journal of revisions, which holds `held` lines.
    borrowed
        New bytes of ``sources.json``, None where it stays.
    """

    months: dict[str, pd.DataFrame]
    appended: int
    lines: list[str]
    held: int
    borrowed: bytes | None


def merge(folder: Path, series: Series, came: Incoming, seen_at: pd.Timestamp | None) -> Merge:
    """Compare candles with a locked folder; nothing is written.

    Parameters
    ----------
    seen_at
        When another value came for a stored candle: it then becomes a revision. Without it,
        it is an error.

    Raises
    ------
    DataError
        When a stored candle may not change, or all of them would, or a file is damaged.
    """
    stored = {path.name: path for path in months_of(folder)}
    require_columns(folder, came.candles, series)
    parts = by_month(came.candles)
    known = {
        name: load([stored[name]]) if name in stored else part.iloc[:0]
        for name, part in parts.items()
    }
    compared = {name: compare(known[name], part) for name, part in parts.items()}
    whole = revisions.joined(list(compared.values()))
    if seen_at is None:
        revisions.refuse_revised(whole, str(series), REVISED.format(series=series))
    _refuse_stranger(folder, series, came, whole)
    held = revisions.read(folder)
    moments = whole.fresh.index.union(whole.new.index)
    changed = {name: part for name, part in compared.items() if len(part.fresh) or len(part.old)}
    return Merge(
        months={name: _union(known[name], part) for name, part in changed.items()},
        appended=len(whole.fresh),
        lines=revisions.lines_of(whole, held, seen_at) if seen_at is not None else [],
        held=len(held),
        borrowed=_borrowed(folder, series, came.named.loc[moments]),
    )


def require_columns(folder: Path, added: pd.DataFrame, series: Series) -> None:
    """Refuse candles with other columns than those of the first stored month.

    Raises
    ------
    DataError
        Naming both.
    """
    months = months_of(folder)
    held = columns_of(months[0]) if months else list(added.columns)
    if held != list(added.columns):
        raise DataError(
            "columns differ from those stored",
            where=str(series),
            found=", ".join(added.columns),
            expected=", ".join(held),
            fix="keep candles of one source in a series, or vintage data forget "
            f"{series} and begin anew",
        )


def add(folder: Path, made: Merge) -> Written:
    """Write a merge file by file, months from the stored ones outwards.

    So an interrupted write leaves no hole that was not there, and what a month held before is
    in the journal first.
    """
    if made.borrowed is not None:
        write_atomic(folder / sources.FILE, made.borrowed)
    revisions.append(folder, made.lines)
    for name in _outwards(list(made.months), [path.name for path in months_of(folder)]):
        write_atomic(folder / name, encode(made.months[name]))
    return _written(folder, made)


def swap(folder: Path, made: Merge, at: pd.Timestamp) -> Written:
    """Write a merge as one step; the files it replaces are kept as a generation."""
    files = {name: encode(month) for name, month in made.months.items()}
    if made.borrowed is not None:
        files[sources.FILE] = made.borrowed
    if made.lines:
        files[revisions.FILE] = revisions.extended(folder, made.lines)
    if files:
        generations.replace(folder, files, [], at)
    return _written(folder, made)


def forget(folder: Path) -> None:
    """Delete all that a locked folder holds of a series."""
    generations.forget(folder)
    for path in contents(folder):
        path.unlink()


def contents(folder: Path) -> list[Path]:
    """Files that make up a series: what is known beside the candles, then its months."""
    beside = [folder / name for name in SIDECARS if (folder / name).exists()]
    return [*beside, *months_of(folder)]


def _refuse_stranger(
    folder: Path, series: Series, came: Incoming, whole: revisions.Compared
) -> None:
    """A sender is compared with what it sent itself, and with what was imported for it."""
    times = pd.DatetimeIndex(came.candles.index)
    senders = sources.senders(sources.read(folder), times, series.feed)
    alike = times[(came.named.to_numpy() == senders) | (senders == sources.IMPORTED)]
    old, new = (part.loc[part.index.isin(alike)] for part in (whole.old, whole.new))
    again = len(alike.difference(whole.fresh.index))
    revisions.refuse_stranger(revisions.Compared(whole.fresh, old, new), again, str(series))


def _written(folder: Path, made: Merge) -> Written:
    seen = revisions.read(folder)[made.held :] if made.lines else []
    return Written(made.appended, tuple(seen))


def _borrowed(folder: Path, series: Series, named: pd.Series) -> bytes | None:
    held = sources.read(folder)
    if named.empty or (not held and (named == series.feed).all()):
        return None
    times = load_times(months_of(folder))
    spans = sources.updated(held, times, named, series.feed)
    return None if spans == held else sources.encode(spans)


def _union(known: pd.DataFrame, part: revisions.Compared) -> pd.DataFrame:
    kept = known.drop(index=part.old.index)
    pieces = [piece for piece in (kept, part.fresh, part.new) if len(piece)]
    return pd.concat(pieces).sort_index()


def _outwards(names: list[str], stored: list[str]) -> list[str]:
    before = [name for name in names if stored and name < stored[0]]
    return sorted(set(names) - set(before)) + sorted(before, reverse=True)


def _canonical(candles: pd.DataFrame, where: str) -> pd.DataFrame:
    times = candles.index
    if not isinstance(times, pd.DatetimeIndex) or str(times.tz) != "UTC":
        raise _no_frame("its index is no UTC time", where)
    if not (times.is_monotonic_increasing and times.is_unique):
        raise _no_frame("its moments do not increase", where)
    columns = [name for name in COLUMNS if name in candles.columns]
    if not set(REQUIRED) <= set(columns) or len(columns) < len(candles.columns):
        raise _no_frame(f"its columns are {', '.join(map(str, candles.columns))}", where)
    numbers = candles[columns].astype("float64")
    if not np.isfinite(numbers.to_numpy()).all():
        raise _no_frame("it holds a cell that is no number", where)
    return numbers.set_axis(times.as_unit("ms").rename(TIME))


def _no_frame(found: str, where: str) -> DataError:
    return DataError(f"cannot be stored: {found}", where=where, fix="correct the source")
