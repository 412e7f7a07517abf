"""The closed table of indicators that a feature set can name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pipeline.features.candle_arrays import CandleArrays
from pipeline.features.indicators import (
    averages,
    bands,
    candles,
    divergence,
    oscillators,
    pivots,
    position,
    relative,
    shapes,
    trend,
    volume,
)
from pipeline.features.indicators.base import REGISTERED, Indicator, indicator

INDICATORS: Mapping[str, Indicator] = MappingProxyType(dict(REGISTERED))

__all__ = [
    "INDICATORS",
    "CandleArrays",
    "Indicator",
    "averages",
    "bands",
    "candles",
    "divergence",
    "indicator",
    "oscillators",
    "pivots",
    "position",
    "relative",
    "shapes",
    "trend",
    "volume",
]
