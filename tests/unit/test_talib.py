"""Where TA-Lib defines the same column, its C code gives the same values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib

from pipeline.features.feature_set import FeatureSet
from tests.oracles.walks import random_walk

Candles = dict[str, np.ndarray]
Expected = Callable[[Candles], np.ndarray]
SHARE_OF_DEVIATION = 1e-7
SAME: dict[str, tuple[dict[str, Any], Expected]] = {
    "rsi": (
        {"indicator": "rsi", "window": 14, "kind": "wilder"},
        lambda of: talib.RSI(of["close"], 14),
    ),
    "sma": (
        {"indicator": "moving_average", "window": 20},
        lambda of: talib.SMA(of["close"], 20),
    ),
    "sma_of_volume": (
        {"indicator": "moving_average", "window": 7, "field": "volume"},
        lambda of: talib.SMA(of["volume"], 7),
    ),
    "ema": (
        {"indicator": "exponential_average", "span": 12},
        lambda of: talib.EMA(of["close"], 12),
    ),
    **{
        f"bollinger_{part}": (
            {"indicator": "bollinger", "part": part, "window": 20, "multiple": 2.5, "ddof": 0},
            lambda of, place=place: talib.BBANDS(of["close"], 20, 2.5, 2.5)[place],
        )
        for place, part in enumerate(("upper", "middle", "lower"))
    },
    **{
        f"macd_{line}": (
            {"indicator": "macd", "line": line, "fast": 12, "slow": 26, "signal": 9},
            lambda of, place=place: talib.MACD(of["close"], 12, 26, 9)[place],
        )
        for place, line in enumerate(("macd", "signal", "histogram"))
    },
    "mean_true_range": (
        {"indicator": "atr", "window": 14},
        lambda of: talib.SMA(talib.TRANGE(of["high"], of["low"], of["close"])[1:], 14),
    ),
    "rate_of_change": (
        {"indicator": "change", "periods": 10},
        lambda of: talib.ROCP(of["close"], 10),
    ),
    "momentum": (
        {"indicator": "momentum", "periods": 10},
        lambda of: talib.MOM(of["close"], 10),
    ),
    "deviation_of_returns": (
        {"indicator": "volatility", "window": 20, "ddof": 0},
        lambda of: talib.STDDEV(talib.ROCP(of["close"], 1)[1:], 20),
    ),
    "volume_price_correlation": (
        {"indicator": "volume_price_correlation", "window": 20},
        lambda of: talib.CORREL(of["volume"], of["close"], 20),
    ),
}


@pytest.fixture(scope="module")
def candles() -> pd.DataFrame:
    return random_walk(np.random.default_rng(31), 3000)


@pytest.mark.parametrize("name", SAME)
def test_values_are_those_of_ta_lib(name: str, candles: pd.DataFrame) -> None:
    declared, expected = SAME[name]
    features = FeatureSet.parse({"name": "one", "columns": {name: declared}}, "test")
    found = features.newest(candles, 2500)[name].to_numpy()
    theirs = expected({field: candles[field].to_numpy() for field in candles})[-2500:]
    assert found.std() > 0
    assert np.abs(found - theirs).max() <= SHARE_OF_DEVIATION * theirs.std()
