"""Nine mistakes, each switched on and caught by name; every shipped recipe makes none of them."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.build import build, resolve_target
from pipeline.config import read_yaml
from pipeline.configuration.conf_options import options
from pipeline.errors import ConfigError, DataError
from pipeline.experiments.caught.checks import CHECKS, caught
from pipeline.experiments.caught.declared import Declared, declared
from pipeline.experiments.caught.of_parts import (
    AHEAD,
    BACKWARD,
    FILLED,
    QUANTILE,
    SCALED_BY_ALL,
)
from pipeline.experiments.caught.of_rows import (
    ACROSS_TRADES,
    IN_SAMPLE,
    SEVERAL_COINS,
    SHUFFLED,
)
from pipeline.experiments.caught.planted import (
    FullSampleQuantile,
    ScaledByAll,
    filled_from_behind,
)
from pipeline.experiments.reenacted.old_splits import Expanding, SameRows, Shuffled, Unpurged
from pipeline.experiments.reenacted.published_label import PointShort, PublishedShort
from pipeline.labels.high_vol import HighVol
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.simulated import Simulated
from pipeline.splits.purged_kfold import PurgedKFold
from tests.spine import CONF, planned

END = pd.Timestamp("2025-12-20T00:00Z")
ROWS = {"1h": 1000, "5m": 1500}
HEADS = [
    (recipe, head)
    for recipe in options(CONF, "recipe")
    for head in read_yaml(CONF / f"recipe/{recipe}.yaml").get("heads", {"direction": None})
]


@functools.cache
def candles(market: str, timeframe: str, price: float = 1.0) -> pd.DataFrame:
    step = pd.Timedelta(timeframe.replace("m", "min"))
    one = Instrument(name=market, symbol=market)
    made = Simulated().fetch(one, timeframe, END - ROWS[timeframe] * step, END)
    return made.assign(**{name: made[name] * price for name in ("open", "high", "low", "close")})


@functools.cache
def head_of(recipe: str, head: str, *prices: float) -> Declared:
    """A head over simulated candles of its market, or of coins at several prices."""
    plan = planned(f"recipe={recipe}", "exchange=simulated")
    members = [each.name for each in plan.run.market.members]
    if prices:
        members = [f"COIN-{number}" for number in range(len(prices))]
    by_market = {
        name: candles(name, plan.run.timeframe, price)
        for name, price in zip(members, prices or [1.0] * len(members), strict=True)
    }
    return declared(by_market, plan, head)


def hourly(*prices: float) -> Declared:
    return head_of("upbit_hourly", "direction", *prices)


def scaled_by_all() -> Declared:
    logistic = build(read_yaml(CONF / "model/logistic.yaml"), "model")
    return replace(hourly(), model=ScaledByAll(logistic))


def shuffled_exits() -> Declared:
    return replace(head_of("bingx_dual", "long_exit"), split=Shuffled(test_share=0.2))


def full_sample() -> Declared:
    own = HighVol(measure="range", horizon_hours=24, quantile=0.8)
    return replace(hourly(), label=FullSampleQuantile(own))


def backward() -> Declared:
    return replace(head_of("bingx_dual", "short_entry"), label=PublishedShort(threshold=0.003))


PLANTED: dict[str, Callable[[], Declared]] = {
    SHUFFLED: lambda: replace(hourly(), split=Shuffled(test_share=0.15)),
    BACKWARD: backward,
    IN_SAMPLE: lambda: replace(hourly(), split=SameRows()),
    ACROSS_TRADES: shuffled_exits,
    QUANTILE: full_sample,
    SCALED_BY_ALL: scaled_by_all,
    FILLED: lambda: replace(hourly(), features=filled_from_behind(hourly().features)),
    SEVERAL_COINS: lambda: hourly(1.0, 1 / 700),
    AHEAD: lambda: replace(hourly(), features=lambda frame: frame[["close"]].shift(-1)),
}


@pytest.mark.parametrize(
    "target",
    [
        *(f"reenacted.old_splits.{name}" for name in ("Shuffled", "SameRows", "Unpurged")),
        *(f"reenacted.published_label.{name}" for name in ("PublishedShort", "PointShort")),
        *(f"caught.planted.{name}" for name in ("FullSampleQuantile", "ScaledByAll")),
        "reenacted.old_network.OldHybrid",
    ],
)
def test_no_recipe_can_name_what_was_done_then(target: str) -> None:
    with pytest.raises(ConfigError, match="is refused"):
        resolve_target(f"pipeline.experiments.{target}")


def test_every_check_has_a_mistake_to_catch() -> None:
    assert set(PLANTED) == set(CHECKS)


@pytest.mark.parametrize("name", PLANTED)
def test_a_mistake_is_caught_by_its_name(name: str) -> None:
    found = CHECKS[name](PLANTED[name]())
    assert found is not None
    assert found.name == name
    assert found.found


@pytest.mark.parametrize("name", PLANTED)
def test_a_mistake_of_rows_is_taken_for_no_other(name: str) -> None:
    parts = PLANTED[name]()
    of_rows = (SHUFFLED, IN_SAMPLE, ACROSS_TRADES, SEVERAL_COINS)
    found = {each for each in of_rows if CHECKS[each](parts) is not None}
    expected = {SHUFFLED, ACROSS_TRADES} if name == ACROSS_TRADES else {name}
    assert found == expected & {*of_rows}


@pytest.mark.parametrize("name", [BACKWARD, QUANTILE])
def test_a_mistake_of_a_label_is_not_taken_for_the_other(name: str) -> None:
    parts = PLANTED[name]()
    assert [each for each in (BACKWARD, QUANTILE) if CHECKS[each](parts) is not None] == [name]


@pytest.mark.parametrize(("recipe", "head"), HEADS)
def test_no_shipped_recipe_makes_a_mistake(recipe: str, head: str) -> None:
    assert caught(head_of(recipe, head)) == ()


def test_every_recipe_is_looked_at() -> None:
    assert {recipe for recipe, _ in HEADS} == set(options(CONF, "recipe"))
    assert len(HEADS) >= 7


def test_how_much_was_found_is_told() -> None:
    found = CHECKS[IN_SAMPLE](PLANTED[IN_SAMPLE]())
    rows = len(hourly().samples.rows)
    assert found is not None
    assert found.found == f"{rows} of {rows} rows are traded by a model that was fitted on them"


def test_both_sides_of_a_purged_block_are_no_shuffle() -> None:
    assert (
        CHECKS[SHUFFLED](replace(hourly(), split=PurgedKFold(fold_count=5, embargo_hours=24)))
        is None
    )


def test_a_label_that_looks_ahead_only_is_no_backward_one() -> None:
    point = PointShort(horizon_candles=3, threshold=0.003)
    assert CHECKS[BACKWARD](replace(head_of("bingx_dual", "short_entry"), label=point)) is None


def test_a_label_without_answers_cannot_be_asked() -> None:
    class Silent(PointShort):
        def compute(self, candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
            return super().compute(candles, timeframe).iloc[:0]

    label = Silent(horizon_candles=3, threshold=0.003)
    with pytest.raises(DataError, match="too few candles"):
        CHECKS[BACKWARD](replace(hourly(), label=label))


def test_coins_that_move_alike_may_share_columns_in_their_unit() -> None:
    twice = {name: candles("COIN-0", "1h") for name in ("COIN-0", "COIN-1")}
    plan = planned("recipe=upbit_hourly", "exchange=simulated")
    assert CHECKS[SEVERAL_COINS](declared(twice, plan, "direction")) is None


def test_coins_apart_are_told_by_their_prices() -> None:
    found = CHECKS[SEVERAL_COINS](hourly(1.0, 1 / 700))
    assert found is not None
    told = int(found.found.split()[0])
    assert 20 <= told <= 30
    assert "open" in found.found


@pytest.mark.parametrize("split", [Unpurged(test_share=0.2), Expanding(fold_count=4)])
def test_old_splits_by_time_train_on_nothing_newer(split: Unpurged | Expanding) -> None:
    time = hourly().samples.time[::-1]
    for fold in split.folds(time, hourly().samples.ends_at[::-1]):
        assert time[fold.train].max() < time[fold.test].min()


def test_a_shuffle_draws_every_row_once() -> None:
    (fold,) = Shuffled(test_share=0.25).folds(hourly().samples.time, hourly().samples.ends_at)
    rows = len(hourly().samples.rows)
    assert len(fold.test) == round(rows / 4)
    assert sorted([*fold.train, *fold.test]) == list(range(rows))
    assert np.diff(fold.test).max() < 60


SHORT_HISTORY = ("exchange=simulated", "as_of=2025-12-20T00:00Z", "recipe.history_days=45")


@pytest.mark.usefixtures("home")
def test_a_recipe_is_asked_for_every_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reenact", "mistakes", "recipe=demo", *SHORT_HISTORY]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in CHECKS)
    assert out.endswith(f"0 of {len(CHECKS)} found\n")


@pytest.mark.usefixtures("home")
def test_a_recipe_with_a_mistake_leaves_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("recipe=upbit_pooled", "features=hourly46", "model.n_estimators=5")
    assert main(["reenact", "mistakes", *words, *SHORT_HISTORY, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [each["mistake"] for each in told if each["found"]] == [SEVERAL_COINS]
