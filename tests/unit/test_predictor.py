from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from pipeline.build import TARGET, build
from pipeline.config import Node
from pipeline.errors import ConfigError, DataError
from pipeline.features.feature_set import FeatureSet
from pipeline.fitting.training import labelled_samples
from pipeline.frames import key_by_market
from pipeline.labels.three_class import ThreeClass
from pipeline.live.loading import unpack
from pipeline.live.predictor import Predictor, Serving
from pipeline.models.base import FeatureTable, Fitted, Model, Report
from pipeline.models.bundle import FILE, HeadDeclaration, pack
from registry.manifest import VerifiedBundle
from registry.slots import Slot
from tests.oracles.walks import random_walk

UNTIL = "2025-12-20T00:00:00+00:00"

MARKET = "SIM-BTC"
SLOT = Slot("demo", MARKET)
FEATURES: Node = {
    TARGET: "pipeline.features.feature_set.FeatureSet",
    "name": "small",
    "columns": [
        {"name": "returns", "indicator": "change", "periods": 1},
        {"name": "rsi", "indicator": "rsi", "window": 14, "kind": "simple"},
        {"name": "to_sma_20", "indicator": "to_moving_average", "window": 20},
        {"name": "ema_5", "indicator": "exponential_average", "span": 5},
        {"name": "close", "indicator": "candle", "field": "close"},
    ],
}
LABEL: Node = {TARGET: "pipeline.labels.three_class.ThreeClass"} | ThreeClass(
    horizon_hours=6, threshold=0.006
).model_dump()
TREES: Node = {
    TARGET: "pipeline.models.lightgbm.LightGBM",
    "n_estimators": 10,
    "learning_rate": 0.2,
    "num_leaves": 7,
    "max_depth": 3,
    "min_data_in_leaf": 10,
    "feature_fraction": 1.0,
    "bagging_fraction": 1.0,
    "bagging_freq": 0,
    "lambda_l2": 0.0,
}
CANDLES = random_walk(np.random.default_rng(8), 500, start=9000.0)
SET: FeatureSet = build(FEATURES, "features")


def fitted_on(candles: pd.DataFrame, model: Node = TREES) -> Fitted:
    label: ThreeClass = build(LABEL, "label")
    rows = labelled_samples(
        key_by_market(SET.compute(candles), MARKET),
        key_by_market(label.compute(candles, "1h"), MARKET),
        label.classes,
    )
    declared: Model = build(model, "model")
    return declared.fit(rows, np.random.default_rng(1))


def bundle(fitted: Fitted, **heads: HeadDeclaration) -> VerifiedBundle:
    declared = heads or {
        "direction": HeadDeclaration(
            features=FEATURES, label=LABEL, model=TREES, classes=ThreeClass.classes
        )
    }
    files = pack("1h", declared, dict.fromkeys(declared, fitted))
    return VerifiedBundle("v0003", "digest", files)


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return fitted_on(CANDLES)


@pytest.fixture(scope="module")
def predictor(fitted: Fitted) -> Predictor:
    return Predictor.load(SLOT, bundle(fitted), Serving("observe", 0.55, UNTIL), ())


def batch(fitted: Fitted, candles: pd.DataFrame) -> np.ndarray:
    table = FeatureTable.from_frame(key_by_market(SET.compute(candles), MARKET))
    return fitted.predict_proba(table, np.arange(len(table.values)))


def test_a_signal_is_what_the_batch_says_at_that_candle(
    predictor: Predictor, fitted: Fitted
) -> None:
    expected = batch(fitted, CANDLES)
    seen = set()
    for end in range(300, 501, 20):
        signal = predictor.predict(CANDLES.iloc[:end])
        row = expected[end - 1 - SET.warm_up]
        told = [signal.sell_probability, signal.hold_probability, signal.buy_probability]
        np.testing.assert_allclose(told, row, rtol=1e-12)
        assert signal.strength == max(told[0], told[2])
        seen.add(signal.buy_probability)
    assert len(seen) > 5


def test_the_memory_is_enough(predictor: Predictor) -> None:
    assert predictor.memory == SET.memory + 1 < 400
    tail = CANDLES.iloc[-predictor.memory :]
    assert predictor.predict(tail) == predictor.predict(CANDLES)


def test_the_memory_of_a_head_with_trades_reaches_their_entries(fitted: Fitted) -> None:
    columns = [*FEATURES["columns"], {"name": "gain", "indicator": "gain", "part": "now"}]
    label: Node = {
        TARGET: "pipeline.labels.exit.Exit",
        "share": 0.8,
        "horizon_candles": 3,
        "trades": {"side": "long", "hold": 30},
    }
    declared = HeadDeclaration(
        features={**FEATURES, "columns": columns},
        label=label,
        model=TREES,
        classes=ThreeClass.classes,
    )
    other = Predictor.load(
        SLOT, bundle(fitted, leave=declared), Serving("observe", 0.55, UNTIL), ()
    )
    head = other.bundle.heads["leave"]
    assert other.memory == head.feature_set.memory + 30 + 1
    assert head.feature_set.memory >= SET.memory


def test_a_signal_names_its_candle_and_version(predictor: Predictor) -> None:
    signal = predictor.predict(CANDLES)
    assert signal.slot == "demo/SIM-BTC"
    assert signal.market == MARKET
    assert pd.Timestamp(signal.candle) == CANDLES.index[-1]
    assert pd.Timestamp(signal.known_at) == CANDLES.index[-1] + pd.Timedelta(hours=1)
    assert (signal.version, signal.mode) == ("v0003", "observe")


def test_the_future_is_not_needed_and_not_seen(predictor: Predictor) -> None:
    spoiled = CANDLES.copy()
    spoiled.iloc[400:] = 1e9
    assert predictor.predict(spoiled.iloc[:400]) == predictor.predict(CANDLES.iloc[:400])


def test_the_threshold_is_the_servings(predictor: Predictor) -> None:
    actions = {}
    for limit in (0.0, 1.0):
        serving = dataclasses.replace(predictor, serving=Serving("trade", limit, UNTIL))
        actions[limit] = serving.predict(CANDLES).action
    assert actions[1.0] == "HOLD"
    assert actions[0.0] in {"BUY", "SELL"}


def test_too_few_candles_are_refused(predictor: Predictor) -> None:
    needed = SET.warm_up + 1
    told = rf"too few candles.*demo/SIM-BTC.*Found: {needed - 1}; expected: at least {needed}"
    with pytest.raises(DataError, match=told):
        predictor.predict(CANDLES.iloc[: needed - 1])
    with pytest.raises(DataError, match="too few candles"):
        predictor.predict(CANDLES.iloc[:0])
    assert predictor.predict(CANDLES.iloc[:needed]).candle


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_candle_that_is_no_number_is_refused(predictor: Predictor, bad: float) -> None:
    broken = CANDLES.copy()
    broken.iloc[-1, broken.columns.get_loc("close")] = bad
    with pytest.raises(DataError, match="no finite value"):
        predictor.predict(broken)


def test_missing_columns_are_named(predictor: Predictor) -> None:
    with pytest.raises(DataError, match="no column close"):
        predictor.predict(CANDLES.drop(columns="close"))


def test_a_model_that_says_no_probabilities_is_refused(
    predictor: Predictor, fitted: Fitted
) -> None:
    @dataclasses.dataclass(frozen=True)
    class Broken:
        columns = fitted.columns

        def predict_proba(self, table: FeatureTable, rows: np.ndarray) -> np.ndarray:
            return np.full((len(rows), 3), np.nan)

        def save(self) -> dict[str, bytes]:
            return {}

        def report(self) -> Report:
            return {}

    head = dataclasses.replace(predictor.bundle.heads["direction"], fitted=Broken())
    loaded = dataclasses.replace(predictor.bundle, heads={"direction": head})
    with pytest.raises(DataError, match="not probabilities"):
        dataclasses.replace(predictor, bundle=loaded).predict(CANDLES)


def test_features_that_are_not_the_models_are_refused(fitted: Fitted) -> None:
    turned = {**FEATURES, "columns": FEATURES["columns"][::-1]}
    declared = HeadDeclaration(
        features=turned, label=LABEL, model=TREES, classes=ThreeClass.classes
    )
    other = Predictor.load(
        SLOT, bundle(fitted, direction=declared), Serving("trade", 0.5, UNTIL), ()
    )
    with pytest.raises(DataError, match="close at position 0; expected: returns"):
        other.predict(CANDLES)


def test_a_version_without_a_trading_head_answers_and_has_no_signal(fitted: Fitted) -> None:
    declared = HeadDeclaration(
        features=FEATURES, label=LABEL, model=TREES, classes=("low", "middle", "high")
    )
    other = Predictor.load(SLOT, bundle(fitted, risk=declared), Serving("trade", 0.5, UNTIL), ())
    with pytest.raises(ConfigError, match=r"says sell, hold or buy.*Found: risk"):
        other.predict(CANDLES)
    answer = other.answer(CANDLES)
    assert list(answer.heads["risk"].probability) == ["low", "middle", "high"]
    assert (answer.signal, answer.action, answer.strength) == (None, None, None)


def test_a_bundle_is_the_same_bytes_for_the_same_models(fitted: Fitted) -> None:
    first, again = bundle(fitted).contents, bundle(fitted_on(CANDLES)).contents
    assert first == again
    assert sorted(first) == [
        FILE,
        "heads/direction/columns.json",
        "heads/direction/model.txt",
    ]
    assert first != bundle(fitted_on(CANDLES.iloc[:-1])).contents


def test_a_bundle_keeps_the_order_of_its_columns(fitted: Fitted) -> None:
    loaded = unpack(bundle(fitted).contents)
    assert loaded.timeframe == "1h"
    head = loaded.heads["direction"]
    assert head.feature_set.names == head.fitted.columns == SET.names
    assert (head.classes, head.lookback) == (ThreeClass.classes, 1)


def test_another_format_is_refused(fitted: Fitted) -> None:
    files = dict(bundle(fitted).contents)
    told = json.loads(files[FILE])
    files[FILE] = json.dumps(told | {"format": 99}).encode()
    with pytest.raises(DataError, match=r"another format\. Found: 99; expected: 1"):
        unpack(files)


def test_a_bundle_builds_nothing_outside_the_pipeline(fitted: Fitted) -> None:
    files = dict(bundle(fitted).contents)
    told = json.loads(files[FILE])
    told["heads"]["direction"]["model"] = {TARGET: "subprocess.Popen", "args": ["true"]}
    files[FILE] = json.dumps(told).encode()
    with pytest.raises(ConfigError, match="refused"):
        unpack(files)
