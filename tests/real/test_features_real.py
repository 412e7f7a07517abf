from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline.build import build
from pipeline.config import read_yaml
from pipeline.features.feature_set import FeatureSet
from tests.conftest import recorded
from tests.oracles.hourly46 import hourly46

CONFIG = Path(__file__).resolve().parents[2] / "conf/features/hourly46.yaml"
FEATURES: FeatureSet = build(read_yaml(CONFIG), "features=hourly46")

pytestmark = pytest.mark.real


@pytest.fixture(params=["KRW-BTC", "KRW-SOL"])
def candles(request: pytest.FixtureRequest, real_data: Path) -> pd.DataFrame:
    return recorded(real_data / "upbit" / f"{request.param}-60m.parquet")


def test_every_column_agrees_with_the_oracle(candles: pd.DataFrame) -> None:
    found, expected = FEATURES.compute_all(candles), hourly46(candles)
    assert list(found) == list(expected)
    pd.testing.assert_frame_equal(found.isna(), expected.isna())
    assert ((found - expected).abs().max() <= 1e-12 * expected.std()).all()


def test_history_leaves_rows_to_train_on(candles: pd.DataFrame) -> None:
    assert FEATURES.warm_up <= 450
    assert FEATURES.memory <= 1700
    assert len(FEATURES.compute(candles)) == len(candles) - FEATURES.warm_up >= 1100


def test_a_huge_tick_is_invisible_after_the_memory(candles: pd.DataFrame) -> None:
    spoiled = candles.copy()
    spoiled.iloc[10, 1:4] = 1e9
    clean, dirty = FEATURES.compute_all(candles), FEATURES.compute_all(spoiled)
    for name, spec in FEATURES.columns.items():
        recursive = spec.indicator in {"exponential_average", "macd"}
        rows = slice(10 + (FEATURES.memory if recursive else spec.memory), None)
        apart = (clean[name].iloc[rows] - dirty[name].iloc[rows]).abs().max()
        assert apart <= (1e-10 * clean[name].std() if recursive else 0.0), name
