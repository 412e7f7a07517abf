from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.build import build
from pipeline.config import read_yaml, to_yaml
from pipeline.errors import ConfigError, DataError
from pipeline.features.feature_set import FeatureSet
from tests.oracles.walks import random_walk

CHECKOUT = Path(__file__).resolve().parents[2]
COLUMNS: dict[str, Any] = {
    "rsi": {"indicator": "rsi", "window": 3, "kind": "simple"},
    "average": {"indicator": "moving_average", "window": 5},
    "turnover": {"indicator": "candle", "field": "value"},
}
SLOW = {"slow": {"indicator": "exponential_average", "span": 4}}


@pytest.fixture
def candles() -> pd.DataFrame:
    return random_walk(np.random.default_rng(7), 120)


def small(**more: Any) -> FeatureSet:
    return FeatureSet.parse({"name": "small", "columns": {**COLUMNS, **more}}, "test")


def test_hourly46_holds_its_46_columns_in_order() -> None:
    features = build(read_yaml(CHECKOUT / "conf/features/hourly46.yaml"), "features=hourly46")
    expected = (
        "open high low close volume value returns log_returns high_low_ratio close_open_ratio "
        "volume_change volume_ma_ratio rsi macd macd_signal macd_hist bb_upper bb_middle bb_lower "
        "bb_width bb_position atr atr_ratio sma_5 ema_5 price_to_sma_5 sma_10 ema_10 "
        "price_to_sma_10 sma_20 ema_20 price_to_sma_20 sma_50 ema_50 price_to_sma_50 sma_100 "
        "ema_100 price_to_sma_100 volatility_5 volatility_20 momentum_5 roc_5 momentum_10 roc_10 "
        "momentum_20 roc_20"
    )
    assert features.names == tuple(expected.split())
    assert len(features.names) == 46
    assert (features.warm_up, features.memory) == (415, 1522)


def test_compute_drops_the_warm_up_and_keeps_index_and_order(candles: pd.DataFrame) -> None:
    features = small()
    frame = features.compute(candles)
    assert (features.warm_up, features.memory) == (4, 5)
    assert tuple(frame.columns) == features.names == ("rsi", "average", "turnover")
    assert frame.index.equals(candles.index[4:])
    assert set(frame.dtypes) == {np.dtype("float64")}
    pd.testing.assert_frame_equal(frame, features.compute_all(candles).iloc[4:])


def test_compute_all_keeps_every_row_however_few(candles: pd.DataFrame) -> None:
    frame = small().compute_all(candles.iloc[:4])
    assert frame["average"].isna().tolist() == [True] * 4
    assert frame["rsi"].isna().tolist() == [True, True, True, False]
    assert small().compute_all(candles.iloc[:0]).shape == (0, 3)


def test_the_candles_are_left_as_they_are(candles: pd.DataFrame) -> None:
    before = candles.copy(deep=True)
    frame = small().compute(candles)
    frame.iloc[:, :] = 0.0
    pd.testing.assert_frame_equal(candles, before)


def test_newest_reads_memory_and_rows_only(candles: pd.DataFrame) -> None:
    features = small(**SLOW)
    everything, newest = features.compute(candles), features.newest(candles, rows=3)
    assert newest.index.equals(candles.index[-3:])
    pd.testing.assert_frame_equal(newest[list(COLUMNS)], everything[list(COLUMNS)].iloc[-3:])
    spoiled = candles.copy()
    spoiled.iloc[: -features.memory - 3] = 1e30
    pd.testing.assert_frame_equal(features.newest(spoiled, rows=3), newest, check_exact=True)


def test_newest_with_a_short_history_is_compute(candles: pd.DataFrame) -> None:
    features = small(**SLOW)
    short = candles.iloc[: features.warm_up + 2]
    assert len(short) < features.memory
    pd.testing.assert_frame_equal(features.newest(short, rows=2), features.compute(short))


def test_a_missing_column_is_named(candles: pd.DataFrame) -> None:
    without = candles.drop(columns=["value", "close"])
    for call in (small().compute, small().compute_all, small().newest):
        with pytest.raises(DataError, match=r"no column close and no column value .*set small"):
            call(without)


def test_a_column_that_is_not_read_may_be_missing(candles: pd.DataFrame) -> None:
    columns = {name: COLUMNS[name] for name in ("rsi", "average")}
    features = FeatureSet.parse({"name": "small", "columns": columns}, "test")
    frame = features.compute(candles[["close"]])
    pd.testing.assert_frame_equal(frame, features.compute(candles))


@pytest.mark.parametrize("rows", [0, 4])
def test_too_few_candles_are_refused(candles: pd.DataFrame, rows: int) -> None:
    with pytest.raises(
        DataError, match=rf"too few .*Found: {rows}; expected: at least 5 \(4 of.*a later as_of"
    ):
        small().compute(candles.iloc[:rows])
    assert len(small().compute(candles.iloc[:5])) == 1


def test_newest_refuses_rows_inside_the_warm_up(candles: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="at least 6"):
        small().newest(candles.iloc[:5], rows=2)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_first_broken_feature_is_named_with_its_time(candles: pd.DataFrame, bad: float) -> None:
    candles.iloc[60, candles.columns.get_loc("close")] = bad
    with pytest.raises(
        DataError, match=r"column rsi\)\. Found: (nan|inf) at 2025-01-03 12:00:00\+00:00"
    ):
        small().compute(candles)
    with pytest.raises(DataError, match="no finite value"):
        small().newest(candles, rows=60)
    assert len(small().newest(candles, rows=50)) == 50


def test_a_broken_candle_in_the_warm_up_that_fades_is_no_error(candles: pd.DataFrame) -> None:
    features = FeatureSet.parse({"name": "one", "columns": {"rsi": COLUMNS["rsi"]}}, "test")
    wide = FeatureSet.parse(
        {"name": "two", "columns": {**COLUMNS, "wide": {"indicator": "change", "periods": 20}}}, "x"
    )
    candles.iloc[2, candles.columns.get_loc("high")] = np.nan
    assert len(features.compute(candles)) == 117
    candles.iloc[2, candles.columns.get_loc("value")] = np.nan
    assert len(wide.compute(candles)) == 100


def test_another_order_is_another_digest() -> None:
    same, other = (
        small(),
        FeatureSet.parse({"name": "small", "columns": dict(reversed(COLUMNS.items()))}, "test"),
    )
    assert same.digest == small().digest
    assert other.digest != same.digest
    assert other.names == same.names[::-1]


def test_the_digest_knows_arguments_but_not_how_they_are_written() -> None:
    explicit = {**COLUMNS["average"], "field": "close"}
    assert small(average=dict(reversed(explicit.items()))).digest == small().digest
    assert small(average={**explicit, "window": 6}).digest != small().digest
    assert len(small().digest) == 64


def test_the_list_form_survives_key_sorted_yaml(tmp_path: Path) -> None:
    features = small()
    assert features.to_list()[1] == {
        "name": "average", "indicator": "moving_average", "window": 5, "field": "close",
    }  # fmt: skip
    path = tmp_path / "resolved.yaml"
    path.write_text(to_yaml(features.model_dump()))
    assert FeatureSet.parse(read_yaml(path), "resolved") == features
    assert FeatureSet.parse(read_yaml(path), "resolved").digest == features.digest


def named(**column: Any) -> list[dict[str, Any]]:
    return [{"name": "x", **column}]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": {"indicator": "rsii", "window": 3}}, "unknown indicator 'rsii': did you mean rsi?"),
        ({"x": {"indicator": "rsi", "window": 3}}, "rsi needs the argument 'kind'"),
        ({"x": {"indicator": "candle", "feild": "open"}}, "did you mean field?"),
        ({"x": {"indicator": "moving_average", "window": 0}}, "greater than or equal to 2"),
        ({"x": {"indicator": "moving_average", "window": "5"}}, "valid integer"),
        ({"x": {"window": 5}}, "needs the key 'indicator'"),
        ({"x": {"indicator": ["rsi"]}}, "unknown indicator"),
        ({"x": 5}, "needs the key 'indicator'"),
        ({}, "at least 1 entry"),
        ([], "at least 1 entry"),
        (named(indicator="candle", field="open") * 2, "two columns are named 'x'"),
        ([{"indicator": "candle", "field": "open"}], "needs a 'name'"),
        (["open"], "needs a 'name'"),
        (5, "keys below it"),
    ],
)
def test_mistakes_in_the_table_are_told(columns: Any, message: str) -> None:
    with pytest.raises(ConfigError, match="columns") as told:
        FeatureSet.parse({"name": "mine", "columns": columns}, "conf/features/mine.yaml")
    assert message in str(told.value)
    assert "conf/features/mine.yaml" in str(told.value)
