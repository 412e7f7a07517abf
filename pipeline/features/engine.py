"""How columns are filled: windowed ones part by part, the others over all candles at once.

A windowed column follows from the candles in its window alone, so it can be computed over parts
of the candles that overlap by the widest window; what passes between its steps then stays in the
processor's cache. The others carry something from candle to candle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.arrays import FloatArray, RowArray
from pipeline.features.candle_arrays import CandleArrays
from pipeline.features.rolling import blank_beginnings
from pipeline.kernels import kernel

PART = 16384


@dataclass(frozen=True, slots=True)
class Step:
    """One column, resolved: its place in the table, and what fills it."""

    place: int
    function: Callable[..., FloatArray]
    arguments: Mapping[str, Any]
    warm_up: int
    memory: int
    together: Callable[..., None] | None = None

    @property
    def windowed(self) -> bool:
        """Whether a value follows from the newest `memory` candles alone."""
        return self.memory == self.warm_up + 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The candle columns of a set, resolved once.

    Parameters
    ----------
    windowed, carrying
        Columns of either kind; `reach` candles before a part are what the windowed ones need.
    several
        The carrying ones in groups that one pass gives.
    """

    windowed: tuple[Step, ...]
    carrying: tuple[Step, ...]
    several: tuple[tuple[Step, ...], ...]
    reach: int

    @classmethod
    def of(cls, steps: Iterable[Step]) -> Plan:
        """Sort columns by what they need."""
        every = tuple(steps)
        windowed = tuple(step for step in every if step.windowed)
        carrying = tuple(step for step in every if not step.windowed)
        groups: dict[Any, list[Step]] = {}
        for step in carrying:
            groups.setdefault(step.together or step.place, []).append(step)
        return cls(
            windowed=windowed,
            carrying=carrying,
            several=tuple(map(tuple, groups.values())),
            reach=max((step.warm_up for step in windowed), default=0),
        )

    @property
    def columns(self) -> int:
        """How many columns the table has."""
        return len(self.windowed) + len(self.carrying)

    @property
    def memory(self) -> int:
        """Newest candles that give the newest row."""
        return max((step.memory for step in (*self.windowed, *self.carrying)), default=1)


def every_row(plan: Plan, candles: CandleArrays) -> FloatArray:
    """Table (columns, candles), NaN where a window is not full."""
    table = np.empty((plan.columns, candles.close.size))
    _fill_carrying(plan, candles, table)
    _fill_windowed(plan, candles, table)
    return table


def later_rows(plan: Plan, candles: CandleArrays, warm_up: int) -> tuple[FloatArray, RowArray]:
    """Table (columns, rows) without the first `warm_up` candles of every market; its candles."""
    table = every_row(plan, candles)
    begins = candles.starts + np.minimum(candles.lengths, warm_up)
    ends = candles.starts + candles.lengths
    kept = np.concatenate([np.arange(*run) for run in zip(begins, ends, strict=True)])
    if len(begins) == 1:
        return table[:, begins[0] :], kept
    _close_up(table, begins, ends)
    return table[:, : kept.size], kept


@kernel
def first_broken(table: FloatArray) -> int:
    """First row in which a column is NaN or infinite, -1 where all are finite.

    Examples
    --------
    >>> first_broken(np.array([[1.0, 2.0, np.nan], [1.0, np.inf, 3.0]]))
    1
    """
    first = table.shape[1]
    for column in range(table.shape[0]):
        for row in range(first):
            if not np.isfinite(table[column, row]):
                first = row
                break
    return -1 if first == table.shape[1] else first


def _fill_carrying(plan: Plan, candles: CandleArrays, table: FloatArray) -> None:
    for steps in plan.several:
        if steps[0].together is None:
            for step in steps:
                table[step.place] = step.function(candles, **step.arguments)
        else:
            rows = [table[step.place] for step in steps]
            steps[0].together(candles, [step.arguments for step in steps], rows)


def _fill_windowed(plan: Plan, candles: CandleArrays, table: FloatArray) -> None:
    length = max(PART, 4 * plan.reach)
    for first in range(0, candles.close.size, length):
        last = min(first + length, candles.close.size)
        origin = max(first - plan.reach, 0)
        part = candles.part(origin, last)
        for step in plan.windowed:
            table[step.place, first:last] = step.function(part, **step.arguments)[first - origin :]
    for step in plan.windowed:
        blank_beginnings(table[step.place], candles.starts, step.warm_up)


@kernel
def _close_up(table: FloatArray, begins: RowArray, ends: RowArray) -> None:
    for column in range(table.shape[0]):
        place = 0
        for run in range(begins.size):
            for row in range(begins[run], ends[run]):
                table[column, place] = table[column, row]
                place += 1
