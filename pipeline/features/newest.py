"""The newest rows of one market, over and over: what live needs at every candle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipeline.arrays import FloatArray, RowArray
from pipeline.features.candle_arrays import CandleArrays
from pipeline.features.engine import Plan, Step
from pipeline.market.candles import USUAL
from pipeline.recording import Call, Recording, recording, room

ARRAYS = 8  # for each column, more than any is made of


class NewestRows:
    """Gives a set's newest rows, each column over its own memory alone.

    The first call for a number of rows records which compiled functions it takes; later ones copy
    the candles to where those read them and run them again. A column that other candles show to
    be made by more than such functions is computed anew each time.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._free: dict[int, list[_Recorded]] = {}

    def table(self, candles: CandleArrays, rows: int) -> FloatArray:
        """Table (columns, rows) of one market's newest candles.

        Where they are fewer than the longest memory and `rows`, columns that carry something from
        candle to candle begin with the first of them.
        """
        if candles.close.size < self._plan.memory + rows or candles.starts.size > 1:
            return newest_rows(self._plan, candles, rows)
        free = self._free.setdefault(rows, [])
        try:
            recorded = free.pop()  # no two threads write the same memory
        except IndexError:
            recorded = _Recorded(self._plan, candles, rows)
        table = recorded.table(candles)
        free.append(recorded)
        return table


class Tail(NamedTuple):
    """A column, and the newest candles that its newest rows need."""

    step: Step
    candles: CandleArrays


def newest_rows(plan: Plan, candles: CandleArrays, rows: int) -> FloatArray:
    """Table (columns, rows) of one market's newest candles, nothing recorded."""
    table = np.empty((plan.columns, rows))
    for step, tail in _tails(plan, candles, rows):
        table[step.place] = step.function(tail, **step.arguments)[-rows:]
    return table


class _Recorded:
    """The calls that give the newest rows, on arrays of their own."""

    def __init__(self, plan: Plan, candles: CandleArrays, rows: int) -> None:
        length = plan.memory + rows
        most = len(USUAL) + (1 + ARRAYS) * plan.columns
        self._recording = Recording(most * room(length))
        self._columns = [self._recording.array(length) for _ in USUAL]
        self._anew = self._recording.array(plan.columns * rows).reshape(plan.columns, rows)
        self._fill(candles)
        opened, high, low, close, volume, value = self._columns
        arrays = CandleArrays(opened, high, low, close, volume, value)
        self._places = np.empty((plan.columns, rows), np.intp)
        tails = list(_tails(plan, arrays, rows))
        for tail in tails:
            self._places[tail.step.place] = self._record(tail)[-rows:]
        for other in _others(candles):
            found, right = self.table(other), newest_rows(plan, other, rows)
            for tail in tails:
                place = tail.step.place
                if not np.array_equal(found[place], right[place], equal_nan=True):
                    self._places[place] = self._compute_anew(tail)[-rows:]

    def table(self, candles: CandleArrays) -> FloatArray:
        self._fill(candles)
        for function, arguments in self._recording.calls:
            function(*arguments)
        return self._recording.memory.take(self._places)

    def _fill(self, candles: CandleArrays) -> None:
        for name, column in zip(USUAL, self._columns, strict=True):
            column[:] = getattr(candles, name)[-column.size :]

    def _record(self, tail: Tail) -> RowArray:
        kept = self._recording
        with recording(kept):
            found = tail.step.function(tail.candles, **tail.step.arguments)
        if not kept.holds(found):
            return self._compute_anew(tail)
        return kept.offset(found) + np.arange(found.size)

    def _compute_anew(self, tail: Tail) -> RowArray:
        into = self._anew[tail.step.place]
        self._recording.calls.append(Call(_anew, (*tail, into)))
        return self._recording.offset(into) + np.arange(into.size)


def _tails(plan: Plan, candles: CandleArrays, rows: int) -> Iterator[Tail]:
    last = candles.close.size
    needed = [(step, plan.reach) for step in plan.windowed]
    needed += [(step, step.memory) for step in plan.carrying]
    parts: dict[int, CandleArrays] = {}
    for step, before in needed:
        if before not in parts:
            parts[before] = candles.part(max(last - rows - before, 0), last)
        yield Tail(step, parts[before])


def _others(candles: CandleArrays) -> Iterator[CandleArrays]:
    """Other candles: the same the other way round, and at another price and volume."""
    columns = [getattr(candles, name) for name in USUAL]
    opened, high, low, close, volume, value = (column[::-1].copy() for column in columns)
    yield CandleArrays(opened, high, low, close, volume, value)
    yield CandleArrays(1.5 * opened, 1.5 * high, 1.5 * low, 1.5 * close, 0.5 * volume, value)


def _anew(step: Step, candles: CandleArrays, into: FloatArray) -> None:
    fresh = candles.part(0, candles.close.size)  # knows nothing of what columns shared before
    into[:] = step.function(fresh, **step.arguments)[-into.size :]
