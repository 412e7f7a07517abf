"""Moving averages, and values relative to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.arrays import FloatArray
from pipeline.features.candle_arrays import CandleArrays
from pipeline.features.indicators.base import (
    EXACT,
    FADED,
    FAR,
    NEAR,
    UNITS,
    CandleField,
    Window,
    indicator,
    settled,
)
from pipeline.features.rolling import exponential_mean, exponential_means, rolling_mean
from pipeline.kernels import series_kernel


def _together(
    candles: CandleArrays, columns: Sequence[Mapping[str, Any]], into: Sequence[FloatArray]
) -> None:
    for field in sorted({column["field"] for column in columns}):
        places = [place for place, column in enumerate(columns) if column["field"] == field]
        for first in range(0, len(places), 4):
            four = [places[min(first + more, len(places) - 1)] for more in range(4)]
            exponential_means(
                getattr(candles, field),
                tuple(_weight(columns[place]["span"]) for place in four),
                candles.starts,
                tuple(into[place] for place in four),
            )


@indicator(
    warm_up=lambda window, **_: window - 1,
    memory=lambda window, **_: window,
    formula="mean(field over window)",
    unit=lambda field, **_: UNITS[field],
    scale_free=lambda field, **_: field == "volume",
)
def moving_average(
    candles: CandleArrays, window: Window, field: CandleField = "close"
) -> FloatArray:
    """Mean of the newest `window` candles."""
    return candles.shared(rolling_mean, getattr(candles, field), window)


@indicator(
    warm_up=lambda window, **_: window - 1,
    memory=lambda window, **_: window,
    formula="field / mean(field over window)",
    unit="1",
    scale_free=True,
)
def to_moving_average(
    candles: CandleArrays, window: Window, field: CandleField = "close"
) -> FloatArray:
    """Divide a value by the mean of the newest `window`, itself among them; 1 where all are 0."""
    values = getattr(candles, field)
    return _quotient(values, candles.shared(rolling_mean, values, window))


@indicator(
    warm_up=lambda span, field: settled(span, FADED, _seed_distance(field)),
    memory=lambda span, field: settled(span, EXACT, 4 * _seed_distance(field)) + 1,
    formula="m[-1] + 2 / (span + 1) * (field - m[-1]), from m = field of the first candle",
    unit=lambda field, **_: UNITS[field],
    scale_free=lambda field, **_: field == "volume",
    together=_together,
)
def exponential_average(
    candles: CandleArrays, span: Window, field: CandleField = "close"
) -> FloatArray:
    """Exponential mean of weight ``2 / (span + 1)``, seeded with the first value."""
    return exponential_mean(getattr(candles, field), _weight(span), candles.starts)


def _weight(span: int) -> float:
    return 2.0 / (span + 1)


def _seed_distance(field: CandleField) -> float:
    return FAR if field in {"volume", "value"} else NEAR


@series_kernel
def _quotient(values: FloatArray, means: FloatArray, into: FloatArray) -> None:
    for row in range(values.size):
        into[row] = 1.0 if means[row] == 0.0 else values[row] / means[row]
