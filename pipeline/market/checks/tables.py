"""The checks that make sense of any dated table of numbers, such as funding or on-chain days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.market.checks.runs import constant, unit_break

if TYPE_CHECKING:
    from pipeline.market.validation import Validation


@dataclass(frozen=True, slots=True)
class Breach:
    """One column that breaks a check, and from where on; a hole has no column and ends there."""

    check: str
    column: str
    first: pd.Timestamp
    rows: int

    def __str__(self) -> str:
        """One line for a person."""
        where = f"column {self.column}, " if self.column else ""
        return f"{self.check}: {where}{self.rows} rows, {self.first.isoformat()}"


def check_table(table: pd.DataFrame, step: pd.Timedelta, limits: Validation) -> list[Breach]:
    """Every column that stands still or changes its unit, every cell without a number, each hole.

    Parameters
    ----------
    table
        Numbers, indexed by increasing UTC moments.
    step
        From one row to the next.
    """
    found = list(_missing(table, step, limits))
    for name in table.columns:
        found += _of_column(table[name], step, limits)
    return found


def _missing(table: pd.DataFrame, step: pd.Timedelta, limits: Validation) -> Iterator[Breach]:
    times = pd.DatetimeIndex(table.index)
    skipped = np.diff(times.asi8, prepend=times.asi8[:1]) // step.as_unit(times.unit).asm8.astype(
        "int64"
    )
    long = np.flatnonzero(skipped - 1 > limits.longest_hole("unknown", step))
    for row in long:
        yield Breach("max_hole", "", times[int(row)], int(skipped[row]) - 1)


def _of_column(column: pd.Series, step: pd.Timedelta, limits: Validation) -> Iterator[Breach]:
    values, name = column.to_numpy("float64"), str(column.name)
    broken = ~np.isfinite(values)
    if broken.any():
        yield _breach("non_finite", column, broken)
    still = constant(values, limits.longest_constant(step))
    if still.any():
        zero = bool((values[still] == 0).all())
        yield _breach("zero_column" if zero else "constant_column", column, still)
    at = unit_break(values, limits.median_window, limits.max_median_ratio, limits.median_window)
    if at is not None:
        yield Breach("unit_breaks", name, column.index[at], len(values) - at)


def _breach(
    check: str, column: pd.Series, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> Breach:
    return Breach(check, str(column.name), column.index[int(np.argmax(rows))], int(rows.sum()))
