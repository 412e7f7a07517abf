from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.config import read_yaml
from pipeline.features.feature_set import FeatureSet
from tests.oracles.hourly46 import hourly46
from tests.oracles.walks import random_walk

FILE = Path(__file__).resolve().parents[2] / "conf/features/hourly46.yaml"
FEATURES: FeatureSet = build(read_yaml(FILE), "features=hourly46")
SPECS = FEATURES.columns
RECURSIVE = [
    name for name, spec in SPECS.items() if spec.indicator in {"exponential_average", "macd"}
]
WINDOWED = [name for name in SPECS if name not in RECURSIVE]
SEEDS = st.integers(0, 2**32 - 1)


def walk(seed: int, rows: int = 700, start: float = 1.5e8) -> pd.DataFrame:
    return random_walk(np.random.default_rng(seed), rows, start)


@given(seed=SEEDS)
@settings(max_examples=5)
def test_every_column_agrees_with_the_oracle(seed: int) -> None:
    candles = walk(seed)
    found, expected = FEATURES.compute_all(candles), hourly46(candles)
    assert list(found) == list(expected)
    pd.testing.assert_frame_equal(found.isna(), expected.isna())
    assert ((found - expected).abs().max() <= 1e-12 * expected.std()).all()


@given(seed=SEEDS, start=st.sampled_from([1e-6, 0.3, 1e9]), flat=st.integers(0, 250))
@settings(max_examples=15)
def test_no_nan_or_infinity_leaves_after_the_warm_up(seed: int, start: float, flat: int) -> None:
    candles = walk(seed, start=start)
    quiet = slice(440, 440 + flat)
    candles.iloc[quiet, :4] = candles["close"].iloc[440]
    candles.iloc[quiet, 4:] = 0.0
    frame = FEATURES.compute(candles)
    assert len(frame) == len(candles) - FEATURES.warm_up
    assert frame["rsi"].between(0, 100).all()


@given(seed=SEEDS, cuts=st.lists(st.integers(1, 699), min_size=8, max_size=8))
@settings(max_examples=5)
def test_the_future_changes_nothing(seed: int, cuts: list[int]) -> None:
    candles = walk(seed)
    everything = FEATURES.compute_all(candles)
    for cut in cuts:
        spoiled = candles.copy()
        spoiled.iloc[cut:] *= 1e3
        for other in (candles.iloc[:cut], spoiled):
            frame = FEATURES.compute_all(other).iloc[:cut]
            pd.testing.assert_frame_equal(frame, everything.iloc[:cut], check_exact=True)


@given(seed=SEEDS, start=st.integers(1, 600))
@settings(max_examples=10)
def test_windows_of_a_tail_equal_the_whole_bit_for_bit(seed: int, start: int) -> None:
    candles = walk(seed)
    everything, tail = FEATURES.compute_all(candles), FEATURES.compute_all(candles.iloc[start:])
    for name in WINDOWED:
        rows = slice(start + SPECS[name].memory - 1, None)
        kept = tail[name].iloc[SPECS[name].memory - 1 :]
        pd.testing.assert_series_equal(kept, everything[name].iloc[rows], check_exact=True)


@given(seed=SEEDS, at=st.integers(1, 300))
@settings(max_examples=8)
def test_a_huge_tick_is_invisible_after_the_memory(seed: int, at: int) -> None:
    candles = walk(seed, 2200)
    spoiled = candles.copy()
    spoiled.iloc[at, 1:4] = 1e9
    clean, dirty = FEATURES.compute_all(candles), FEATURES.compute_all(spoiled)
    for name, spec in SPECS.items():
        rows = slice(at + (spec.memory if name in WINDOWED else FEATURES.memory), None)
        apart = (clean[name].iloc[rows] - dirty[name].iloc[rows]).abs().max()
        assert apart == 0.0 if name in WINDOWED else apart <= 1e-12 * clean[name].std(), name
    assert (clean.iloc[at] != dirty.iloc[at]).any()


@given(seed=SEEDS, end=st.integers(1800, 2200), rows=st.integers(1, 48))
@settings(max_examples=8)
def test_newest_reproduces_compute(seed: int, end: int, rows: int) -> None:
    candles = walk(seed, 2200).iloc[:end]
    everything = FEATURES.compute(candles)
    newest = FEATURES.newest(candles, rows=rows)
    apart = (newest - everything.iloc[-rows:]).abs().max()
    assert newest.index.equals(candles.index[-rows:])
    assert (apart <= 1e-12 * everything.std()).all()


EXTRA = [
    {"indicator": "rsi", "window": 14, "kind": "wilder"},
    {"indicator": "exponential_average", "span": 30, "field": "volume"},
    {"indicator": "macd", "line": "macd", "fast": 5, "slow": 35},
]


@pytest.mark.parametrize("seed", range(4))
def test_warm_up_and_memory_are_honest(seed: int) -> None:
    listed = [*FEATURES.to_list(), *({"name": str(i), **spec} for i, spec in enumerate(EXTRA))]
    features = FeatureSet.parse({"name": "more", "columns": listed}, "test")
    candles = walk(seed, 3000)
    everything = features.compute_all(candles)
    deviation = everything.std()
    for start in range(500, 1450, 150):
        apart = (features.compute_all(candles.iloc[start:]) - everything.iloc[start:]).abs()
        for name, spec in features.columns.items():
            column = apart[name].to_numpy()
            assert column[spec.warm_up] < 1e-3 * deviation[name], (name, "warm-up")
            assert column[spec.memory - 1] <= 1e-12 * deviation[name], (name, "memory")
            assert np.isfinite(column[spec.warm_up :]).all()


@pytest.mark.parametrize("name", ["ema_100", "sma_100", "rsi", "atr", "roc_20", "volatility_20"])
def test_warm_up_is_not_wasteful(name: str) -> None:
    spec = SPECS[name]
    worst = 0.0
    for seed in range(4):
        candles = walk(seed, 1600)
        everything = FEATURES.compute_all(candles)[name]
        for start in range(500, 1100, 50):
            apart = FEATURES.compute_all(candles.iloc[start:])[name] - everything.iloc[start:]
            early = abs(apart.iloc[int(0.6 * spec.warm_up)]) / everything.std()
            worst = max(worst, np.inf if np.isnan(early) else early)
    assert worst > 1e-3
