"""From a venue's raw rows to numbers; nothing is repaired or left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.market.candles import PRICES, TIME
from pipeline.market.exchanges.faults import garbage

MOMENTS = range(1_230_768_000_000, 4_102_444_800_000)  # 2009 to 2100, in milliseconds


def to_frame(moments: Sequence[Any], columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Rows as a frame, in the order in which they came.

    Parameters
    ----------
    moments
        Open times, milliseconds since 1970.
    columns
        For each column the cells: numbers, or text that is one.

    Raises
    ------
    Fault
        Naming the first cell that is no moment, no finite number, a price not above zero, or a
        negative amount.

    Examples
    --------
    >>> cells = {name: ["1.5"] for name in ("open", "high", "low", "close", "volume")}
    >>> to_frame([1582197540000], cells).index[0].isoformat()
    '2020-02-20T11:19:00+00:00'
    """
    for moment in moments:
        if type(moment) is not int or moment not in MOMENTS:
            raise garbage("a row names no moment", moment)
    numbers = {name: [_number(cell, name) for cell in cells] for name, cells in columns.items()}
    index = pd.DatetimeIndex(pd.array(list(moments), "int64").astype("datetime64[ms]"), tz="UTC")
    return pd.DataFrame(numbers, index=index.rename(TIME), columns=list(columns), dtype="float64")


def cells_of(rows: Sequence[Any], names: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Cells of the rows by column; `names` says under which key or place each column stands.

    Raises
    ------
    Fault
        When a row lacks one.
    """
    try:
        return {column: [row[place] for row in rows] for column, place in names.items()}
    except (KeyError, IndexError, TypeError):
        raise garbage("a row is no candle", _strange(rows, names)) from None


def _strange(rows: Sequence[Any], names: Mapping[str, Any]) -> Any:
    for row in rows:
        try:
            [row[place] for place in names.values()]
        except (KeyError, IndexError, TypeError):
            return row
    return rows


def _number(cell: Any, column: str) -> float:
    if type(cell) not in {int, float, str}:
        raise garbage(f"{column} is no number", cell)
    try:
        number = float(cell)
    except ValueError:
        raise garbage(f"{column} is no number", cell) from None
    if not math.isfinite(number) or number < 0 or (number == 0 and column in PRICES):
        raise garbage(f"{column} is no possible number", cell)
    return number
