"""One month of a series as Parquet bytes, and back."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import DataError
from pipeline.market.candles import COLUMNS, REQUIRED, TIME, empty_frame

MONTH_FILES = "[0-9][0-9][0-9][0-9]-[0-9][0-9].parquet"
CLOCK = pa.timestamp("ms", tz="UTC")
Numbers = np.ndarray[Any, np.dtype[np.float64]]
Moments = np.ndarray[Any, np.dtype[np.int64]]


def months_of(folder: Path) -> list[Path]:
    """Files of a series, the earliest month first."""
    return sorted(folder.glob(MONTH_FILES))


def overlaps(path: Path, start: pd.Timestamp | None, newest: pd.Timestamp | None) -> bool:
    """Tell whether a month can hold a candle from `start` to `newest`, both included."""
    after = start is None or path.stem >= start.strftime("%Y-%m")
    return after and (newest is None or path.stem <= newest.strftime("%Y-%m"))


def by_month(candles: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Cut a candle frame into the files of its months, by file name.

    Examples
    --------
    >>> times = pd.DatetimeIndex(["2025-01-31T23:00Z", "2025-02-01T00:00Z"])
    >>> list(by_month(pd.DataFrame({"close": [1.0, 2.0]}, index=times)))
    ['2025-01.parquet', '2025-02.parquet']
    """
    times = pd.DatetimeIndex(candles.index)
    return {
        f"{year:04}-{month:02}.parquet": part
        for (year, month), part in candles.groupby([times.year, times.month])
    }


def encode(candles: pd.DataFrame) -> bytes:
    """Parquet bytes of candles; equal values give equal bytes."""
    arrays = [pa.array(moments_of(pd.DatetimeIndex(candles.index)), pa.int64()).cast(CLOCK)]
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


def load(paths: Sequence[Path]) -> pd.DataFrame:
    """Read the candles of some months, in their order.

    Raises
    ------
    DataError
        When a file is damaged.
    FileNotFoundError
        When one has gone since it was listed.
    """
    return _assembled([_table(path, path) for path in paths], paths)


def decode(content: bytes, where: Path) -> pd.DataFrame:
    """Read the candles of one month from its bytes.

    Raises
    ------
    DataError
        When they are no month of candles.
    """
    return _assembled([_table(io.BytesIO(content), where)], [where])


def load_times(paths: Sequence[Path]) -> pd.DatetimeIndex:
    """Read the open times alone.

    Raises
    ------
    DataError
        When a file is damaged.
    FileNotFoundError
        When one has gone since it was listed.
    """
    read = [
        _table(path, path, [TIME])[TIME].cast(CLOCK).cast(pa.int64()).to_numpy() for path in paths
    ]
    return index_of(np.concatenate(read) if read else np.empty(0, dtype="int64"))


def columns_of(path: Path) -> list[str]:
    """Columns of a month beside its times, without reading them.

    Raises
    ------
    DataError
        When the file is damaged.
    """
    try:
        names = pq.read_schema(path).names
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from None
    return [name for name in COLUMNS if name in names]


def count(path: Path) -> int:
    """Candles in a month, without reading them.

    Raises
    ------
    DataError
        When the file is damaged.
    """
    try:
        return int(pq.read_metadata(path).num_rows)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from None


def index_of(moments: Moments) -> pd.DatetimeIndex:
    """Index of a candle frame from milliseconds since 1970."""
    return pd.DatetimeIndex(moments.view("M8[ms]")).tz_localize("UTC").rename(TIME)


def moments_of(times: pd.DatetimeIndex) -> Moments:
    """Milliseconds since 1970 of an index."""
    moments: Moments = times.as_unit("ms").asi8
    return moments


def damaged(path: Path, error: Exception) -> DataError:
    """Say that a file of the store cannot be read."""
    return DataError(
        "a file of the candle store is damaged",
        where=str(path),
        found=" ".join(str(error).split()),
        fix="delete that file, and sync or import its month again",
    )


def _assembled(tables: Sequence[pa.Table], paths: Sequence[Path]) -> pd.DataFrame:
    rows = sum(table.num_rows for table in tables)
    if not tables:
        return empty_frame()
    columns = [name for name in COLUMNS if name in tables[0].column_names]
    numbers: Numbers = np.empty((len(columns), rows))
    moments: Moments = np.empty(rows, dtype="int64")
    filled = 0
    for path, table in zip(paths, tables, strict=True):
        place = slice(filled, filled + table.num_rows)
        try:
            moments[place] = table[TIME].cast(CLOCK).cast(pa.int64()).to_numpy()
            for row, name in enumerate(columns):
                numbers[row, place] = table[name].to_numpy()
        except (pa.ArrowException, KeyError, ValueError) as error:
            raise damaged(path, error) from None
        filled += table.num_rows
    return pd.DataFrame(numbers.T, index=index_of(moments), columns=columns, copy=False)


def _table(source: Any, path: Path, columns: list[str] | None = None) -> pa.Table:
    try:
        with pq.ParquetFile(source, page_checksum_verification=True) as file:
            lacking = {TIME, *REQUIRED} - set(file.schema_arrow.names)
            if lacking:
                raise damaged(path, KeyError(f"it has no {sorted(lacking)[0]}"))
            return file.read(columns=columns, use_threads=False)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from None
