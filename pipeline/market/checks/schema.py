"""What a candle frame must be made of before any check can look at its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pipeline.errors import DataError
from pipeline.market.candles import COLUMNS, REQUIRED

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

FIX = "correct the source, then sync again; the stage never repairs a candle"


def check_schema(candles: pd.DataFrame, where: str) -> None:
    """Refuse another index than UTC moments, and other columns than those of candles.

    Raises
    ------
    DataError
        Naming every column that is missing, unknown or no number.
    """
    times = candles.index
    if not isinstance(times, pd.DatetimeIndex) or str(times.tz) != "UTC":
        raise DataError(
            "columns: the index is no UTC time", where=where, found=str(times.dtype), fix=FIX
        )
    from pandera.errors import SchemaErrors

    try:
        _schema().validate(candles, lazy=True)
    except SchemaErrors:
        raise DataError(
            "columns: not those of candles",
            where=where,
            found=", ".join(f"{name} ({kind})" for name, kind in candles.dtypes.items()),
            expected=f"{', '.join(REQUIRED)} and perhaps {', '.join(COLUMNS[len(REQUIRED) :])}, "
            "float64, each once",
            fix=FIX,
        ) from None


def _schema() -> DataFrameSchema:
    from pandera.pandas import Column, DataFrameSchema

    columns = {
        name: Column("float64", nullable=True, required=name in REQUIRED) for name in COLUMNS
    }
    return DataFrameSchema(columns, strict=True, unique_column_names=True)
