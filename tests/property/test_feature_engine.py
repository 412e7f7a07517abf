"""What holds for every candle column of ``conf/features``, whatever the candles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.configuration.conf_options import options
from pipeline.configuration.extended_sets import read_feature_set
from pipeline.errors import ConfigError, DataError
from pipeline.features import engine
from pipeline.features.feature_set import FeatureSet
from pipeline.features.indicators import INDICATORS, CandleArrays
from pipeline.features.rolling import exponential_mean, exponential_means
from pipeline.frames import of_market
from tests.oracles.walks import random_walk
from tests.spine import CONF
from tests.volume import volume

SEEDS = st.integers(0, 2**32 - 1)
EXTRA: dict[str, dict[str, Any]] = {
    "wilder": {"indicator": "rsi", "window": 14, "kind": "wilder"},
    "of_volume": {"indicator": "exponential_average", "span": 9, "field": "volume"},
}


def of_candles(name: str) -> FeatureSet:
    whole: FeatureSet = build(read_feature_set(CONF, name), f"features={name}")
    kept = [node for node in whole.to_list() if node["name"] not in whole.of_trades]
    extra = [{"name": name, **node} for name, node in EXTRA.items()]
    return FeatureSet.parse({"name": name, "columns": [*kept, *extra]}, name)


SETS = {name: of_candles(name) for name in options(CONF, "features")}
EVERY = pytest.mark.parametrize("features", SETS.values(), ids=SETS)


def walk(seed: int, rows: int, start: float = 1.5e8) -> pd.DataFrame:
    return random_walk(np.random.default_rng(seed), rows, start)


def keyed(markets: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(markets, names=["market", "time"])


@EVERY
@given(seed=SEEDS, order=st.permutations(range(4)))
@settings(max_examples=volume(4))
def test_a_market_stands_alone_whatever_stands_beside_it(
    features: FeatureSet, seed: int, order: list[int]
) -> None:
    lengths = (1, 30, features.warm_up + 5, 700)
    parts = {f"M{i}": walk(seed + i, length, 10.0 ** (2 * i)) for i, length in enumerate(lengths)}
    together = features.compute_all(keyed({f"M{i}": parts[f"M{i}"] for i in order}))
    for market, candles in parts.items():
        alone = features.compute_all(candles)
        pd.testing.assert_frame_equal(
            of_market(together, market), alone, check_exact=True, check_freq=False
        )


@EVERY
@given(seed=SEEDS, part=st.sampled_from([64, 150, 8192]))
@settings(max_examples=volume(4))
def test_how_the_candles_are_cut_into_parts_changes_no_bit(
    features: FeatureSet, seed: int, part: int
) -> None:
    candles = walk(seed, 900)
    whole = features.compute_all(candles)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "PART", part)
        cut = features.compute_all(candles)
    pd.testing.assert_frame_equal(cut, whole, check_exact=True)


@pytest.mark.parametrize("part", [7, 40, 200])
def test_short_windows_are_cut_often(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"dev": {"indicator": "volatility", "window": 5}, **EXTRA}
    features = FeatureSet.parse({"name": "short", "columns": columns}, "test")
    candles = walk(3, 400)
    whole = features.compute_all(candles)
    monkeypatch.setattr(engine, "PART", part)
    pd.testing.assert_frame_equal(features.compute_all(candles), whole, check_exact=True)


@EVERY
def test_compute_many_is_compute_market_by_market(features: FeatureSet) -> None:
    rows = features.warm_up + 40
    parts = {f"M{i}": walk(50 + i, rows + i) for i in range(3)}
    together = features.compute_many(keyed(parts))
    alone = keyed({market: features.compute(candles) for market, candles in parts.items()})
    pd.testing.assert_frame_equal(together, alone, check_exact=True)


@EVERY
@given(seed=SEEDS, factor=st.sampled_from([2.0**-30, 3.7e-7, 0.1, 1234.5]))
@settings(max_examples=volume(4))
def test_scale_free_columns_do_not_know_the_price(
    features: FeatureSet, seed: int, factor: float
) -> None:
    candles = walk(seed, features.warm_up + 300)
    scaled = candles.copy()
    scaled[["open", "high", "low", "close", "value"]] *= factor
    one, other = features.compute(candles), features.compute(scaled)
    for name, spec in features.columns.items():
        apart = (one[name] - other[name]).abs()
        if spec.scale_free:
            assert apart.quantile(0.99) <= 1e-9 * max(one[name].std(), 1e-300), name
        else:
            assert (apart > 0).any(), f"{name} could say scale_free"


@EVERY
def test_one_huge_tick_is_invisible_ten_thousand_rows_later(features: FeatureSet) -> None:
    candles = walk(8, 11_000)
    spoiled = candles.copy()
    spoiled.iloc[500, 1:4] = 1e9 * candles["close"].iloc[500]
    clean, dirty = features.compute_all(candles), features.compute_all(spoiled)
    for name, spec in features.columns.items():
        apart = (clean[name] - dirty[name]).abs()
        assert apart.iloc[10_500:].max() <= 1e-12 * clean[name].std(), name
        if spec.memory == spec.warm_up + 1:
            assert apart.iloc[500 + spec.memory :].max() == 0.0, name


@EVERY
@given(seed=SEEDS, rows=st.integers(1, 30))
@settings(max_examples=volume(3))
def test_each_column_of_the_newest_reads_its_own_memory_only(
    features: FeatureSet, seed: int, rows: int
) -> None:
    candles = walk(seed, features.memory + rows + 50)
    newest = features.newest(candles, rows)
    for name, spec in features.columns.items():
        spoiled = candles.copy()
        spoiled.iloc[: -spec.memory - rows] *= 3.0
        assert features.newest(spoiled, rows)[name].equals(newest[name]), name


@EVERY
def test_a_broken_candle_is_refused_not_hidden(features: FeatureSet) -> None:
    candles = walk(4, features.warm_up + 100)
    candles.iloc[-5, :] = np.nan
    markets = keyed({"A": walk(5, len(candles)), "B": candles})
    with pytest.raises(DataError, match="no finite value") as told:
        features.compute_many(markets)
    assert "'B'" in str(told.value)
    assert np.isfinite(features.compute_all(candles).iloc[features.warm_up : -5]).all(axis=None)


def test_markets_must_stand_at_a_stretch_and_be_long_enough() -> None:
    features = SETS["hourly46"]
    torn = keyed({"A": walk(1, 10), "B": walk(2, 10)}).iloc[[*range(5), *range(10, 20), 5]]
    with pytest.raises(DataError, match=r"do not stand together .*A"):
        features.compute_all(torn)
    short = keyed({"A": walk(1, 500), "B": walk(2, 100)})
    with pytest.raises(DataError, match="Found: 100 of B; expected: at least 416"):
        features.compute_many(short)
    assert features.compute_all(short.iloc[:0]).shape == (0, len(features.names))


def test_several_exponential_means_are_each_bit_for_bit() -> None:
    values = np.random.default_rng(1).normal(size=500)
    values[:3] = values[200:204] = np.nan
    starts, weights = np.array([0, 200, 499]), (0.5, 0.1, 0.02, 1.0)
    into = np.empty((4, 500))
    exponential_means(values, weights, starts, tuple(into))
    for weight, found in zip(weights, into, strict=True):
        np.testing.assert_array_equal(found, exponential_mean(values, weight, starts))


def test_a_shared_piece_is_made_once_per_arguments() -> None:
    candles = CandleArrays.from_frame(walk(1, 20))
    calls: list[Any] = []

    def piece(values: Any, window: int) -> Any:
        calls.append(window)
        return values * window

    first = candles.shared(piece, candles.close, 2)
    assert candles.shared(piece, candles.close, 2) is first
    assert candles.shared(piece, candles.open, 2) is not first
    assert candles.shared(piece, first, 3) is candles.shared(piece, first, 3)
    assert calls == [2, 2, 3]
    assert candles.part(0, 20).shared(piece, candles.close, 2) is not first


def test_columns_of_trades_are_not_computed_without_trades() -> None:
    features: FeatureSet = build(read_feature_set(CONF, "exit44"), "features=exit44")
    candles = walk(1, 900)
    for call in (features.compute, features.compute_many, features.compute_all, features.newest):
        with pytest.raises(ConfigError, match="no trades"):
            call(candles)


def test_every_column_says_its_formula_and_unit() -> None:
    for features in SETS.values():
        for name, spec in features.columns.items():
            assert spec.unit, name
            assert spec.scale_free <= (spec.unit not in {"price", "quote"}), name
    for name, found in INDICATORS.items():
        assert found.formula, name
        assert "\n" not in found.formula, name
