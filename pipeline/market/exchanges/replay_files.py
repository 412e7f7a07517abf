"""Reading a table of candles out of a file, cell by cell as it stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyarrow import ArrowException
from pyarrow.parquet import ParquetFile

from pipeline.errors import DataError
from pipeline.market.candles import TIME

Array = np.ndarray[Any, np.dtype[np.float64]]

YEARS = (2009, 2100)


@dataclass(frozen=True, slots=True)
class Clock:
    """How a file tells moments: the zone of those that name none, the unit of whole numbers."""

    zone: str | None
    unit: str | None

    def read(self, stamps: pd.Series, where: str) -> pd.DatetimeIndex:
        """Read a column of moments as UTC.

        Raises
        ------
        DataError
            Naming the row of a cell that is no moment, or what must be told about the column.
        """
        _refuse_row(stamps.isna(), stamps, "is no moment", where)
        if pd.api.types.is_datetime64_any_dtype(stamps.dtype):
            read = stamps
        elif pd.api.types.is_integer_dtype(stamps.dtype):
            read = self._from_epoch(stamps, where)
        else:
            read = _from_text(stamps.astype(str), where)
        if read.dt.tz is None:
            read = self._localize(read, where)
        times = pd.DatetimeIndex(read, name=TIME).tz_convert("UTC").as_unit("ms")
        outside = (times.year < YEARS[0]) | (times.year > YEARS[1])
        _refuse_row(pd.Series(outside), stamps, f"lies outside {YEARS[0]} to {YEARS[1]}", where)
        return times

    def _from_epoch(self, stamps: pd.Series, where: str) -> pd.Series:
        if self.unit is None:
            raise DataError(
                "moments are whole numbers, and nothing says of which unit",
                where=where,
                found=str(stamps.iloc[0]),
                fix="give exchange.unit=ms or exchange.unit=s",
            )
        epoch = stamps.to_numpy("int64") * (1000 if self.unit == "s" else 1)
        return pd.Series(pd.DatetimeIndex(epoch.astype("datetime64[ms]"), tz="UTC"))

    def _localize(self, stamps: pd.Series, where: str) -> pd.Series:
        if self.zone is None:
            raise DataError(
                "moments name no time zone, and none is declared",
                where=where,
                found=str(stamps.iloc[0]),
                fix="give exchange.zone=UTC, or the zone of the file such as Asia/Seoul",
            )
        try:
            placed: pd.Series = stamps.dt.tz_localize(self.zone, ambiguous="NaT", nonexistent="NaT")
        except (KeyError, ValueError):
            raise DataError(
                "unknown time zone", where="exchange.zone", found=self.zone, expected="Asia/Seoul"
            ) from None
        told = f"happens twice or never in {self.zone}"
        _refuse_row(placed.isna(), stamps, told, where)
        return placed


def load(path: Path) -> pd.DataFrame:
    """Read a CSV or Parquet file as it is.

    Raises
    ------
    DataError
        When it cannot be read.
    """
    try:
        if path.suffix == ".csv":
            return pd.read_csv(path)
        with ParquetFile(path) as file:
            return pd.DataFrame(file.read().to_pandas(ignore_metadata=True))
    except (ArrowException, OSError, ValueError) as error:
        told = " ".join(str(error).split())
        raise DataError(
            f"cannot be read: {told}", where=str(path), fix="export the file again"
        ) from None


def require(table: pd.DataFrame, names: list[str], path: Path) -> None:
    """Refuse a table without one of the columns.

    Raises
    ------
    DataError
        Naming the first that is missing, and those that are there.
    """
    for name in names:
        if name not in table.columns:
            raise DataError(
                f"column {name} is missing",
                where=str(path),
                found=", ".join(str(column) for column in table.columns),
                fix="name the file's column under exchange.columns",
            )


def require_increasing(times: pd.DatetimeIndex, where: str) -> None:
    """Refuse moments that are there twice or out of order.

    Raises
    ------
    DataError
        Naming the first such row, counted from 1.
    """
    step = np.diff(times.asi8)
    for broken, told in ((step == 0, "the same moment twice"), (step < 0, "a moment out of order")):
        if broken.any():
            row = int(np.argmax(broken)) + 1
            raise DataError(
                told,
                where=f"{where}, row {row + 1}",
                found=f"{times[row].isoformat()} after {times[row - 1].isoformat()}",
                expected="increasing moments",
                fix="sort the file and drop what is there twice",
            )


def _from_text(stamps: pd.Series, where: str) -> pd.Series:
    zoned = stamps.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$", regex=True)
    _refuse_row(zoned != zoned.iloc[0], stamps, "names a zone where others do not, or none", where)
    read = pd.to_datetime(stamps, format="ISO8601", errors="coerce", utc=bool(zoned.iloc[0]))
    _refuse_row(read.isna(), stamps, "is no moment", where)
    return read


def numbers(cells: pd.Series, where: str) -> Array:
    """Read a column of finite numbers.

    Raises
    ------
    DataError
        Naming the first row, counted from 1, that holds none.
    """
    plain = pd.api.types.is_numeric_dtype(cells.dtype)
    read = cells.to_numpy("float64") if plain else np.array([_number(cell) for cell in cells])
    _refuse_row(pd.Series(~np.isfinite(read)), cells, "is no number", where)
    return read


def _number(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return float("nan")


def _refuse_row(broken: pd.Series, cells: pd.Series, told: str, where: str) -> None:
    if broken.any():
        row = int(np.argmax(broken.to_numpy()))
        raise DataError(
            f"a value {told}",
            where=f"{where}, row {row + 1}",
            found=repr(cells.iloc[row]),
            fix="correct the file; nothing is repaired here",
        )
