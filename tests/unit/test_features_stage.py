from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Node, read_yaml
from pipeline.errors import ConfigError, DataError
from pipeline.features.feature_set import FeatureSet
from pipeline.frames import key_by_market, of_market, read_frame, write_frame
from pipeline.market.trades import TradeRule, trade_rows
from pipeline.runner import Context
from pipeline.stages import features, paths
from tests.oracles.walks import random_walk
from tests.spine import CONF, planned

TARGET = "pipeline.features.feature_set.FeatureSet"
OF_CANDLES: Node = {"trend": {"indicator": "moving_average", "window": 5}}
OF_TRADES: Node = {**OF_CANDLES, "gain": {"indicator": "gain", "part": "now"}}
LONG = TradeRule(side="long", every=6, hold=12, from_candle=3)


def node(columns: Node) -> Node:
    return {"_target_": TARGET, "name": "small", "columns": columns}


@pytest.fixture
def candles(home: Path) -> pd.DataFrame:
    """Clean candles of two markets, where the stage looks for them."""
    walks = {
        name: random_walk(np.random.default_rng(seed), rows)
        for seed, (name, rows) in enumerate({"KRW-SOL": 90, "KRW-XRP": 60}.items())
    }
    frame = pd.concat([key_by_market(walk, name) for name, walk in walks.items()])
    write_frame(paths.CLEAN, frame)
    return frame


def ran(trades: dict[str, TradeRule], **columns: Node) -> dict[str, Any]:
    sets = {name.replace("_", "-"): node(each) for name, each in columns.items()}
    config = features.Config(sets=sets, trades=trades, timeframe="1h")
    return features.run(config, Context(()))


def test_a_set_of_candles_has_a_row_for_each_candle(candles: pd.DataFrame) -> None:
    facts = ran({}, small=OF_CANDLES)
    found = read_frame(paths.FEATURES / "small.parquet")
    assert facts == {"small": "142 rows x 1 columns"}
    assert found.index.names == ["market", "time"]
    alone = FeatureSet.parse({"name": "small", "columns": OF_CANDLES}, "test")
    for market in ("KRW-SOL", "KRW-XRP"):
        expected = alone.compute(of_market(candles, market))
        one = of_market(found, market)
        pd.testing.assert_frame_equal(one, expected, check_exact=True, check_freq=False)


def test_a_set_of_trades_has_a_row_for_each_candle_of_a_trade(candles: pd.DataFrame) -> None:
    ran({"small-long": LONG}, small=OF_CANDLES, small_long=OF_TRADES)
    of_candles = read_frame(paths.FEATURES / "small.parquet")
    found = read_frame(paths.FEATURES / "small-long.parquet")
    assert found.index.names == ["market", "trade", "time"]
    for market in ("KRW-SOL", "KRW-XRP"):
        one, rows = of_market(found, market), of_market(candles, market)
        expected = trade_rows(rows, LONG, "1h")
        expected = expected.take(expected.row >= 4)
        assert one.index.equals(expected.index(rows))
        close = rows["close"].to_numpy()
        gains = close[expected.row] / close[expected.entry] - 1
        np.testing.assert_allclose(one["gain"], gains, rtol=1e-12, atol=1e-15)
    trend = of_candles["trend"].reindex(found.index.droplevel("trade"))
    np.testing.assert_array_equal(found["trend"], trend)


def test_rows_of_trades_end_unbroken_candles(candles: pd.DataFrame) -> None:
    sol = of_market(candles, "KRW-SOL")
    lost = sol.index[30]
    write_frame(paths.CLEAN, key_by_market(sol.drop(index=lost), "KRW-SOL"))
    missing = {}
    for lookback in (1, 12):
        config = features.Config(
            sets={"small-long": node(OF_TRADES)},
            trades={"small-long": LONG},
            timeframe="1h",
            lookback=lookback,
        )
        features.run(config, Context(()))
        time = read_frame(paths.FEATURES / "small-long.parquet").index.get_level_values("time")
        missing[lookback] = set(sol.index[12:-8]) - set(time)
    hour = pd.Timedelta(hours=1)
    after = {lost + k * hour for k in range(1, 12)}
    assert missing[12] - missing[1]
    assert missing[12] - missing[1] <= after <= missing[12]


def test_columns_of_trades_need_trades(candles: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match=r"columns of trades, and there are no trades.*gain"):
        ran({}, small=OF_TRADES)


def test_too_few_candles_for_a_trade_are_told(home: Path) -> None:
    write_frame(paths.CLEAN, key_by_market(random_walk(np.random.default_rng(1), 3), "KRW-SOL"))
    with pytest.raises(DataError, match="too few candles"):
        ran({"small-long": LONG}, small_long=OF_TRADES)


@pytest.mark.parametrize(
    ("rows", "found"), [(7, "7 of KRW-XRP"), (8, "3 rows of trades of KRW-XRP")]
)
def test_a_market_too_young_for_a_trade_is_named(home: Path, rows: int, found: str) -> None:
    walks = {"KRW-SOL": 90, "KRW-XRP": rows}
    frames = [
        key_by_market(random_walk(np.random.default_rng(1), length), name)
        for name, length in walks.items()
    ]
    write_frame(paths.CLEAN, pd.concat(frames))
    columns = {**OF_TRADES, "trend": {"indicator": "moving_average", "window": 8}}
    short = TradeRule(side="long", every=6, hold=5, from_candle=3)
    with pytest.raises(DataError, match=f"Found: {found}"):
        ran({"small-long": short}, small_long=columns)


# what a plan makes of a head with trades

EXIT = ("features=exit44", "label=long_exit", "model=lightgbm")


def test_a_head_with_trades_is_planned_over_its_labels_trades(home: Path) -> None:
    stages = planned(*EXIT).stages
    assert list(stages["features"]["sets"]) == ["exit44-long"]
    rule = TradeRule.parse(stages["features"]["trades"]["exit44-long"], "test")
    assert rule == TradeRule.parse(read_yaml(CONF / "label/long_exit.yaml")["trades"], "test")
    head = stages["train"]["heads"]["direction"]
    assert head["feature_set"] == "exit44-long"
    assert head["features"]["name"] == "exit44"
    table = FeatureSet.parse({"name": "all", "columns": head["features"]["columns"]}, "test")
    assert len(table.names) == 44
    assert len(table.of_trades) == 8
    assert "atr_pct" not in table.names
    assert stages["download"]["memory"] == table.memory + rule.hold
    assert stages["features"]["lookback"] == stages["train"]["lookback"] > 1


def test_another_trade_is_another_features_stage_and_label(home: Path) -> None:
    one, other = planned(*EXIT).stages, planned(*EXIT, "label.trades.hold=24").stages
    assert {name for name in one if one[name] != other[name]} == {
        "download",
        "features",
        "labels",
        "train",
    }


@pytest.mark.parametrize("features", ["entry37", "hourly46"])
def test_a_set_of_candles_is_computed_once_whatever_the_label(home: Path, features: str) -> None:
    for label in ("long_exit", "three_class"):
        stage = planned(f"features={features}", f"label={label}", "model=lightgbm").stages[
            "features"
        ]
        assert (list(stage["sets"]), stage["trades"]) == ([features], {})


def test_columns_of_trades_need_a_label_of_trades(home: Path) -> None:
    with pytest.raises(ConfigError, match="its label has no trades") as caught:
        planned("features=exit44", "label=three_class")
    assert "head direction" in str(caught.value)
    assert "time_held" in str(caught.value)


def test_a_model_that_looks_back_cannot_learn_from_trades(home: Path) -> None:
    with pytest.raises(ConfigError, match="windows over rows of trades are not defined"):
        planned("features=exit44", "label=long_exit", "model=lstm")
