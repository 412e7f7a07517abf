"""The candle store: append-only Parquet files, one for each month of a series.

``<root>/<feed>/<MARKET>/<timeframe>/YYYY-MM.parquet``. A candle that is stored never changes: the
same candle again is nothing, another one at its place is an error. Writers of a series wait for
each other; readers wait for nobody and never see half a file.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from pipeline.errors import DataError
from pipeline.market.candles import COLUMNS, REQUIRED, TIME, empty_frame, last_closed
from registry.files import write_atomic

MONTH_FILES = "[0-9][0-9][0-9][0-9]-[0-9][0-9].parquet"
CLOCK = pa.timestamp("ms", tz="UTC")


@dataclass(frozen=True, slots=True)
class Series:
    """Names one stream of candles."""

    feed: str
    market: str
    timeframe: str

    def __str__(self) -> str:
        return f"{self.feed}/{self.market}/{self.timeframe}"


@dataclass(frozen=True, slots=True)
class Span:
    """Open times of the first and last stored candle, and how many there are."""

    first: pd.Timestamp
    last: pd.Timestamp
    rows: int


@dataclass(frozen=True, slots=True)
class CandleStore:
    """Candles on disk, below `root`."""

    root: Path

    def series(self) -> list[Series]:
        """List the stored series, sorted by their names."""
        months = self.root.glob(f"*/*/*/{MONTH_FILES}")
        return sorted(
            {Series(*path.parent.relative_to(self.root).parts) for path in months}, key=str
        )

    def read(
        self,
        series: Series,
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
    ) -> pd.DataFrame:
        """Read the candles with ``start <= time`` and ``time + timeframe <= end``.

        So a cut at a moment inside a candle leaves that candle out: it is not known yet.

        Raises
        ------
        DataError
            When a file is damaged.
        """
        newest = None if end is None else last_closed(end, series.timeframe)
        paths = [path for path in self._months(series) if _overlaps(path, start, newest)]
        if not paths:
            return empty_frame()
        candles = pd.concat([_load(path) for path in paths])
        return candles.loc[start:newest]

    def span(self, series: Series) -> Span | None:
        """Tell what is stored, or None when nothing is.

        Raises
        ------
        DataError
            When a file is damaged.
        """
        paths = self._months(series)
        if not paths:
            return None
        rows = sum(_count(path) for path in paths)
        return Span(_load(paths[0]).index[0], _load(paths[-1]).index[-1], rows)

    def missing_months(self, series: Series) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
        """First and last moment of each month between stored ones that has no file."""
        stored = [pd.Period(path.stem, freq="M") for path in self._months(series)]
        if not stored:
            return []
        every = pd.period_range(stored[0], stored[-1], freq="M")
        return [
            (month.start_time.tz_localize("UTC"), (month + 1).start_time.tz_localize("UTC"))
            for month in every.difference(pd.PeriodIndex(stored, freq="M"))
        ]

    def forget(self, series: Series) -> None:
        """Delete every candle of a series; its source can give them again."""
        folder = self._folder(series)
        with FileLock(folder / ".lock"):
            for path in self._months(series):
                path.unlink()

    def append(self, series: Series, candles: pd.DataFrame) -> int:
        """Add candles, earlier or later than what is stored, and count the new ones.

        All is compared before anything is written. Months are written from the stored ones
        outwards, so an interrupted append leaves no hole that was not there.

        Raises
        ------
        DataError
            When a stored candle comes with another value, when the frame is no candle frame, or
            when a file is damaged.
        """
        added = _canonical(candles, str(series))
        if added.empty:
            return 0
        folder = self._folder(series)
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            stored = self._months(series)
            if stored:
                _require_columns(_load(stored[0]), added, series)
            fresh: dict[Path, pd.DataFrame] = {}
            times = pd.DatetimeIndex(added.index)
            for (year, month), part in added.groupby([times.year, times.month]):
                path = folder / f"{year:04}-{month:02}.parquet"
                fresh[path] = _unseen(_load(path), part, series) if path in stored else part
            for path in _outwards([path for path in fresh if len(fresh[path])], stored):
                known = [_load(path)] if path in stored else []
                write_atomic(path, _encode(pd.concat([*known, fresh[path]]).sort_index()))
        return sum(len(part) for part in fresh.values())

    def _folder(self, series: Series) -> Path:
        return self.root / series.feed / series.market / series.timeframe

    def _months(self, series: Series) -> list[Path]:
        return sorted(self._folder(series).glob(MONTH_FILES))


def _overlaps(path: Path, start: pd.Timestamp | None, newest: pd.Timestamp | None) -> bool:
    after = start is None or path.stem >= start.strftime("%Y-%m")
    return after and (newest is None or path.stem <= newest.strftime("%Y-%m"))


def _outwards(paths: list[Path], stored: list[Path]) -> list[Path]:
    before = [path for path in paths if stored and path < stored[0]]
    return sorted(set(paths) - set(before)) + sorted(before, reverse=True)


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


def _no_frame(told: str, where: str) -> DataError:
    return DataError(f"cannot be stored: {told}", where=where, fix="correct the source")


def _unseen(known: pd.DataFrame, part: pd.DataFrame, series: Series) -> pd.DataFrame:
    again = part.index.intersection(known.index)
    old, new = known.loc[again].to_numpy(), part.loc[again].to_numpy()
    changed = old != new
    if changed.any():
        row, column = (int(place) for place in np.argwhere(changed)[0])
        raise DataError(
            f"the source revised a candle that is stored, {changed.any(axis=1).sum()} in all",
            where=f"{series}, {again[row].isoformat()}, column {part.columns[column]}",
            found=repr(float(new[row, column])),
            expected=f"{float(old[row, column])!r} as stored",
            fix="find out which is right; to take the source's, vintage data forget "
            f"{series}, then sync",
        )
    return part.loc[part.index.difference(known.index)]


def _require_columns(stored: pd.DataFrame, added: pd.DataFrame, series: Series) -> None:
    if list(stored.columns) != list(added.columns):
        raise DataError(
            "columns differ from those stored",
            where=str(series),
            found=", ".join(added.columns),
            expected=", ".join(stored.columns),
            fix="sync from one source only, or delete the series' folder",
        )


def _encode(candles: pd.DataFrame) -> bytes:
    arrays = [pa.array(pd.DatetimeIndex(candles.index).asi8, pa.int64()).cast(CLOCK)]
    arrays += [pa.array(candles[name].to_numpy()) for name in candles.columns]
    encodings = dict.fromkeys(candles.columns, "BYTE_STREAM_SPLIT")
    buffer = io.BytesIO()
    pq.write_table(
        pa.table(arrays, names=[TIME, *candles.columns]),
        buffer,
        compression="zstd",
        use_dictionary=False,
        column_encoding={TIME: "DELTA_BINARY_PACKED", **encodings},
        store_schema=False,
        write_page_checksum=True,
    )
    return buffer.getvalue()


def _load(path: Path) -> pd.DataFrame:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        numbers = {name: table[name].to_numpy() for name in COLUMNS if name in table.column_names}
        times = pd.DatetimeIndex(table[TIME].cast(CLOCK).cast(pa.int64()).to_numpy().view("M8[ms]"))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise _damaged(path, error) from None
    return pd.DataFrame(numbers, index=times.tz_localize("UTC").rename(TIME))


def _count(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        "a file of the candle store is damaged",
        where=str(path),
        found=" ".join(str(error).split()),
        fix="delete that file and sync again",
    )
