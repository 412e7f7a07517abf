"""Columns of an open trade: how it stands at the close of each of its candles.

`warm_up` and `memory` are counted as for candles, for a trade whose candles since its entry
are all there.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from pipeline.arrays import FloatArray, RowArray
from pipeline.features.candle_arrays import CandleArrays
from pipeline.features.indicators.base import Periods, position_indicator
from pipeline.features.indicators.candles import relative_change
from pipeline.kernels import kernel
from pipeline.market.gains import gains
from pipeline.market.trades import TradeRows

GainPart = Literal["now", "peak", "trough", "from_peak"]


@position_indicator(
    warm_up=lambda **_: 0,
    memory=lambda **_: 1,
    formula="candles since the entry / unit",
    unit=lambda unit: "candles" if unit == 1 else f"{unit} candles",
    scale_free=True,
)
def time_held(candles: CandleArrays, rows: TradeRows, unit: Periods = 1) -> FloatArray:  # noqa: ARG001
    """How long the trade has been open, in units of some candles."""
    held: FloatArray = (rows.row - rows.entry) / unit
    return held


@position_indicator(
    warm_up=lambda **_: 0,
    memory=lambda **_: 1,
    inputs=("close",),
    formula=(
        "side * (close / close at entry - 1); peak, trough: its most, its least since the "
        "candle after the entry; from_peak: now - peak"
    ),
    unit="share",
    scale_free=True,
)
def gain(candles: CandleArrays, rows: TradeRows, part: GainPart) -> FloatArray:
    """Gain of the trade at this close, without leverage and costs; below 0 it is a loss."""
    now, peak, trough = candles.shared(gains, candles.close, rows.row, rows.entry, rows.side)
    if part == "now":
        return now
    if part == "from_peak":
        return now - peak
    return peak if part == "peak" else trough


@position_indicator(
    warm_up=lambda **_: 0,
    memory=lambda **_: 1,
    inputs=("close",),
    formula="standard deviation (ddof 1) of close / close[-1] - 1 since the candle after the entry",
    unit="share",
    scale_free=True,
)
def volatility_since_entry(candles: CandleArrays, rows: TradeRows) -> FloatArray:
    """Volatility of the close since the entry; 0 with fewer than two changes."""
    changes = candles.shared(relative_change, candles.close, 1)
    return _deviation_since(changes, rows.row, rows.entry)


@position_indicator(
    warm_up=lambda **_: 0,
    memory=lambda **_: 1,
    inputs=("volume",),
    formula="volume / volume at entry - 1",
    unit="share",
    scale_free=True,
)
def volume_since_entry(candles: CandleArrays, rows: TradeRows) -> FloatArray:
    """Relative change of the volume since the entry candle; 0 where that had none."""
    then, now = candles.volume[rows.entry], candles.volume[rows.row]
    return np.divide(now - then, then, out=np.zeros(then.size), where=then != 0)


@position_indicator(
    warm_up=lambda periods: periods,
    memory=lambda periods: periods + 1,
    inputs=("close",),
    formula="mean of the newest periods values of close / close[-1] - 1",
    unit="share",
    scale_free=True,
)
def mean_change(candles: CandleArrays, rows: TradeRows, periods: Periods = 2) -> FloatArray:
    """Mean of the newest relative changes of the close, whichever side the trade is on."""
    changes = candles.shared(relative_change, candles.close, 1)
    return _mean_at(changes, rows.row, periods)


@kernel
def _deviation_since(changes: FloatArray, row: RowArray, entry: RowArray) -> FloatArray:
    """Deviation of the changes after the entry up to each row (Welford 1962)."""
    deviations = np.empty(row.size)
    place, mean, squares = 0, 0.0, 0.0
    for number in range(row.size):
        start = entry[number]
        if number == 0 or start != entry[number - 1] or place > row[number]:
            place, mean, squares = start, 0.0, 0.0
        while place < row[number]:
            place += 1
            apart = changes[place] - mean
            mean += apart / (place - start)
            squares += apart * (changes[place] - mean)
        count = place - start
        deviations[number] = np.sqrt(squares / (count - 1)) if count > 1 else 0.0
    return deviations


@kernel
def _mean_at(changes: FloatArray, row: RowArray, periods: int) -> FloatArray:
    means = np.empty(row.size)
    for number in range(row.size):
        total = 0.0
        for step in range(periods):
            place = row[number] - step
            total += changes[place] if place >= 0 else np.nan
        means[number] = total / periods
    return means
