"""Tables of candles as other programs write them; nothing in them is repaired."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather

from pipeline.errors import DataError
from pipeline.market.candles import COLUMNS, REQUIRED, TIME
from pipeline.market.exchanges.replay_files import Clock, load, numbers
from pipeline.market.series import Series

CLOCKS = ("timestamp", "date", "time", "datetime", "", "Unnamed: 0", "index", "__index_level_0__")
SERIES = b"vintage.series"
SECONDS = 10**11  # whole numbers below it count seconds since 1970, above it milliseconds


@dataclass(frozen=True, slots=True)
class Table:
    """A file's rows: moments as they stand there, numbers, and what was not read.

    Parameters
    ----------
    series
        What the file says it holds.
    """

    path: Path
    stamps: pd.Series
    numbers: pd.DataFrame
    ignored: tuple[str, ...]
    series: Series | None

    @property
    def naive(self) -> bool:
        """Whether the moments name no time zone."""
        kind = self.stamps.dtype
        if isinstance(kind, pd.DatetimeTZDtype) or pd.api.types.is_integer_dtype(kind):
            return False
        if pd.api.types.is_datetime64_any_dtype(kind):
            return True
        return not self.stamps.astype(str).str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$").any()

    def candles(self, zone: str | None) -> pd.DataFrame:
        """Read the moments, those without a zone in this one; a frame indexed by UTC.

        Raises
        ------
        DataError
            Naming a row that is no moment.
        """
        whole = pd.api.types.is_integer_dtype(self.stamps.dtype)
        unit = ("s" if self.stamps.max() < SECONDS else "ms") if whole else None
        times = Clock(zone, unit).read(self.stamps, f"{self.path}, its moments")
        return self.numbers.set_axis(times.rename(TIME))


def read_table(path: Path) -> Table:
    """Read a CSV, Parquet, Feather or JSON file of candles.

    Raises
    ------
    DataError
        When it cannot be read, lacks a column, or holds a cell that is no number.
    """
    table = _loaded(path)
    table.columns = [str(name) for name in table.columns]
    clock = next((name for name in CLOCKS if name in table.columns), None)
    lacking = [name for name in REQUIRED if name not in table.columns]
    if clock is None or lacking:
        raise DataError(
            f"column {'of moments' if clock is None else lacking[0]} is missing",
            where=str(path),
            found=", ".join(table.columns),
            expected=f"one of {', '.join(CLOCKS[:4])}; {', '.join(REQUIRED)}",
        )
    if table.empty:
        raise DataError("the file holds no candles", where=str(path), fix="export it again")
    there = [name for name in COLUMNS if name in table.columns]
    cells = {name: numbers(table[name], f"{path}, column {name}") for name in there}
    ignored = tuple(name for name in table.columns if name not in {clock, *there})
    return Table(path, table[clock], pd.DataFrame(cells), ignored, _named(path))


def _loaded(path: Path) -> pd.DataFrame:
    if path.suffix in (".csv", ".parquet"):
        return load(path)
    try:
        if path.suffix == ".json":
            rows = json.loads(path.read_bytes())
            return pd.DataFrame([tuple(row) for row in rows], columns=["date", *REQUIRED])
        return pd.DataFrame(feather.read_table(path).to_pandas(ignore_metadata=True))
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        told = " ".join(str(error).split())
        raise DataError(
            f"cannot be read: {told}", where=str(path), fix="export the file again"
        ) from None


def _named(path: Path) -> Series | None:
    if path.suffix != ".parquet":
        return None
    name = (pq.read_schema(path).metadata or {}).get(SERIES)
    return Series.parse(name.decode()) if name else None
