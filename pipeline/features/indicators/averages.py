"""Moving averages, and values relative to them."""

from __future__ import annotations

import numpy as np

from pipeline.features.indicators.base import (
    EXACT,
    FADED,
    FAR,
    NEAR,
    CandleArrays,
    CandleField,
    FloatArray,
    Window,
    indicator,
    settled,
)
from pipeline.features.rolling import exponential_mean, rolling_mean
from pipeline.kernels import kernel


@indicator(warm_up=lambda window, **_: window - 1, memory=lambda window, **_: window)
def moving_average(
    candles: CandleArrays, window: Window, field: CandleField = "close"
) -> FloatArray:
    """Mean of the newest `window` candles."""
    return rolling_mean(getattr(candles, field), window)


@indicator(warm_up=lambda window, **_: window - 1, memory=lambda window, **_: window)
def to_moving_average(
    candles: CandleArrays, window: Window, field: CandleField = "close"
) -> FloatArray:
    """Divide a value by the mean of the newest `window`, itself among them; 1 where all are 0."""
    values = getattr(candles, field)
    return _quotient(values, rolling_mean(values, window))


@indicator(
    warm_up=lambda span, field: settled(span, FADED, _seed_distance(field)),
    memory=lambda span, field: settled(span, EXACT, 4 * _seed_distance(field)) + 1,
)
def exponential_average(
    candles: CandleArrays, span: Window, field: CandleField = "close"
) -> FloatArray:
    """Exponential mean of weight ``2 / (span + 1)``, seeded with the first value."""
    return exponential_mean(getattr(candles, field), 2.0 / (span + 1))


def _seed_distance(field: CandleField) -> float:
    return FAR if field in {"volume", "value"} else NEAR


@kernel
def _quotient(values: FloatArray, means: FloatArray) -> FloatArray:
    quotients = np.empty(values.size)
    for row in range(values.size):
        quotients[row] = 1.0 if means[row] == 0.0 else values[row] / means[row]
    return quotients
