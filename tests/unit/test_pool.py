"""Several markets in one run: what is declared, how folds are cut, and what rows are worth."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.config import read_yaml, to_yaml
from pipeline.configuration.plan import Plan
from pipeline.errors import ConfigError
from pipeline.evaluation.backtest import Setup
from pipeline.evaluation.bootstrap import blocks_of
from pipeline.evaluation.effective import effective_rows
from pipeline.evaluation.metrics import score_head
from pipeline.evaluation.pooled_trading import PooledTrading, trade_pool
from pipeline.evaluation.trading import Predicted, trade
from pipeline.fitting.training import train_head
from pipeline.frames import key_by_market, of_market
from pipeline.market.pool import Pool, member_of, only_market, parse_market
from pipeline.models.base import FeatureTable, Samples
from pipeline.models.lightgbm import LightGBM
from pipeline.models.member_shares import SHRUNK, training_shares
from pipeline.models.nested_calibration import OutOfFoldRows, calibrated_on
from pipeline.splits.fold import check_folds
from pipeline.splits.purged_kfold import PurgedKFold
from pipeline.splits.walk_forward import WalkForward
from tests.oracles.walks import random_walk
from tests.spine import CONF, own_conf, planned, put
from tests.unit.test_backtest import market, profile
from tests.unit.test_calibration import Recorder
from tests.unit.test_trading import direction

HOUR = pd.Timedelta(hours=1)
CLASSES = ("sell", "hold", "buy")
MEMBERS = ("KRW-BTC", "KRW-ETH", "KRW-SOL", "KRW-XRP")
WORDS = ("recipe=upbit_pooled", "exchange=simulated")


def plan_of(home: Path, members: str) -> Plan:
    conf = own_conf(home)
    put(conf / "market/KRW-ALL.yaml", "members", members)
    return planned(*WORDS, conf=conf)


def hours(first: int, count: int) -> pd.DatetimeIndex:
    start = pd.Timestamp("2025-01-01", tz="UTC") + first * HOUR
    return pd.date_range(start, periods=count, freq="h", name="time").as_unit("ms")


def samples(times: dict[str, pd.DatetimeIndex], horizon: int = 24) -> Samples:
    """A row for each moment of each market; the first of three columns leans to the class."""
    rng = np.random.default_rng(3)
    frames = {}
    for name, time in times.items():
        label = rng.integers(0, 3, len(time))
        columns = {"a": label + rng.normal(size=len(time)), "b": rng.normal(size=len(time))}
        frames[name] = pd.DataFrame({**columns, "label": label}, time)
    every = pd.concat([key_by_market(frame, name) for name, frame in frames.items()])
    time = pd.DatetimeIndex(every.index.get_level_values("time"))
    return Samples(
        table=FeatureTable.from_frame(every[["a", "b"]]),
        rows=np.arange(len(every), dtype=np.intp),
        label=every["label"].to_numpy("int8"),
        weight=np.full(len(every), 1 / horizon),
        ends_at=time + (horizon + 1) * HOUR,
        classes=CLASSES,
    )


def test_a_pool_is_told_to_download_and_to_be_traded(home: Path) -> None:
    plan = planned(*WORDS)
    told = plan.stages["download"]["market"]
    assert told["name"] == "KRW-ALL"
    assert [each["name"] for each in told["members"]] == list(MEMBERS)
    assert [set(each) for each in told["members"]] == [{"name", "symbol"}] * 4
    costs = {
        each["name"]: each["slippage_bps"] for each in plan.stages["evaluate"]["traded"]["members"]
    }
    own = {name: read_yaml(CONF / f"market/{name}.yaml")["slippage_bps"] for name in MEMBERS}
    assert costs == own
    assert str(plan.run.slot) == "upbit_pooled@simulated/KRW-ALL"
    assert plan.stages["train"]["heads"]["direction"]["feature_set"] == "scale_free"


def test_one_market_is_told_as_before() -> None:
    told = planned("market=KRW-SOL").stages
    assert told["download"]["market"] == {"name": "KRW-SOL", "symbol": "KRW-SOL"}
    assert "members" not in told["evaluate"]["traded"]


def test_the_order_of_the_members_changes_nothing(home: Path) -> None:
    usual = planned(*WORDS)
    for number, order in enumerate(list(permutations(MEMBERS))[5::9]):
        folder = home / str(number)
        folder.mkdir()
        plan = plan_of(folder, f"[{', '.join(order)}]")
        assert plan.stages == usual.stages
        assert (plan.trial, plan.run) == (usual.trial, usual.run)


WRONG = {
    "[KRW-BTC, KRW-DOG]": "there is no market 'KRW-DOG'",
    "[KRW-BTC, KRW-BTC]": "named twice",
    "[KRW-BTC, SIM-BTC]": "not of the exchange upbit: SIM-BTC",
    "[KRW-BTC, KRW-ALL]": "KRW-ALL has members of its own",
    "[KRW-BTC]": "at least 2",
}


@pytest.mark.parametrize(("members", "told"), WRONG.items(), ids=WRONG)
def test_wrong_members_are_refused_by_name(home: Path, members: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        plan_of(home, members)


def test_a_second_source_is_one_of_a_single_market() -> None:
    with pytest.raises(ConfigError, match=r"several markets.*validation\.reference"):
        planned(*WORDS, "validation.reference=replay/KRW-SOL/1h")


def test_where_one_market_is_asked_for_the_members_are_named() -> None:
    pool = planned(*WORDS).run.market
    assert isinstance(pool, Pool)
    assert member_of(pool, "KRW-SOL").name == "KRW-SOL"
    assert only_market(pool.members[2]) is pool.members[2]
    with pytest.raises(ConfigError, match="market=KRW-BTC or market=KRW-ETH"):
        only_market(pool)
    with pytest.raises(ConfigError, match="KRW-DOG is no member of KRW-ALL"):
        member_of(pool, "KRW-DOG")


# folds


def uneven() -> dict[str, pd.DatetimeIndex]:
    """One market that starts first, one that has no row when most tests begin, one later."""
    whole = hours(0, 1000)
    holed = whole[(np.arange(1000) % 100 > 12) & (np.arange(1000) > 250)]
    return {"KRW-BTC": whole, "KRW-ETH": holed, "KRW-SOL": whole[400:]}


@pytest.mark.parametrize("window", ["expanding", "rolling"])
def test_a_test_is_the_same_dates_for_every_member(window: str) -> None:
    given = samples(uneven())
    days = {"train_days": 10.0} if window == "rolling" else {}
    split = WalkForward.parse({"fold_count": 4, "test_share": 0.1, "window": window, **days}, "")
    folds = split.folds(given.time, given.ends_at)
    check_folds(folds, given.time, given.ends_at)
    market = given.index.get_level_values("market")
    for number, fold in enumerate(folds):
        opens = hours(600 + 100 * number, 1)[0]
        closes = opens + 100 * HOUR
        inside = np.asarray((given.time >= opens) & (given.time < closes))
        assert np.array_equal(fold.test, np.flatnonzero(inside))
        assert {*market[fold.test]} == {*uneven()}
        assert {*market[fold.train]} == {*uneven()}
        assert given.ends_at[fold.train].max() <= opens, (
            "a label of one market knows another's test"
        )
        assert {*market[fold.purged]} == {*uneven()}


def test_a_purge_is_by_the_first_test_row_of_any_member() -> None:
    early, late = hours(0, 500), hours(0, 500)
    given = samples({"KRW-BTC": early, "KRW-ETH": late[(late < early[400]) | (late >= early[430])]})
    (fold,) = WalkForward(fold_count=1, test_share=0.2).folds(given.time, given.ends_at)
    market = given.index.get_level_values("market")
    eth = market == "KRW-ETH"
    assert given.time[fold.test][eth[fold.test]].min() == early[430]
    assert given.ends_at[fold.train][eth[fold.train]].max() <= early[400]
    assert eth[fold.purged].sum() == (~eth[fold.purged]).sum() == 24


def test_blocks_in_the_middle_are_dates_too() -> None:
    given = samples(uneven())
    folds = PurgedKFold(fold_count=4, embargo_hours=24).folds(given.time, given.ends_at)
    check_folds(folds, given.time, given.ends_at)
    for one, other in pairwise(folds):
        assert given.time[one.test].max() < given.time[other.test].min()


# rows


def test_the_order_of_rows_changes_no_score() -> None:
    joined = scored_rows(samples(uneven()))
    turned = pd.concat([joined.loc[[name]] for name in reversed(list(uneven()))])
    one, other = (score_head(rows, CLASSES, "1h") for rows in (joined, turned))
    assert one == pytest.approx(other, rel=1e-12, abs=1e-12)


def scored_rows(given: Samples) -> pd.DataFrame:
    model = LightGBM.parse({**TREES}, "model")
    trained = train_head(given, model, WalkForward(fold_count=2, test_share=0.2), 7)
    happened = {"label": given.label, "ends_at": given.ends_at}
    return trained.predictions.join(pd.DataFrame(happened, given.index), how="inner")


TREES = {
    "n_estimators": 5,
    "learning_rate": 0.1,
    "num_leaves": 7,
    "max_depth": -1,
    "min_data_in_leaf": 20,
    "feature_fraction": 1.0,
    "bagging_fraction": 1.0,
    "bagging_freq": 0,
    "lambda_l2": 0.0,
}


def test_the_same_rows_of_four_coins_prove_no_more_than_one_coin() -> None:
    one = scored_rows(samples({"KRW-BTC": hours(0, 700)}))
    four = pd.concat([one.rename(index={"KRW-BTC": name}, level="market") for name in MEMBERS])
    assert effective_rows(four, "1h") == pytest.approx(effective_rows(one, "1h"))
    drawn, again = blocks_of(one, "1h"), blocks_of(four, "1h")
    assert (again.moments, again.length, again.widening) == (
        drawn.moments,
        drawn.length,
        drawn.widening,
    )
    assert np.array_equal(again.moment, np.tile(drawn.moment, 4))
    found, repeated = (score_head(rows, CLASSES, "1h") for rows in (one, four))
    for name in ("brier_skill", "brier_skill_low", "direction_skill_low", "detectable_skill"):
        assert repeated[name] == pytest.approx(found[name], rel=1e-9), name


def test_skill_is_over_the_class_shares_of_each_market() -> None:
    given = samples({"KRW-BTC": hours(0, 480), "KRW-ETH": hours(0, 480)})
    eth = np.asarray(given.index.get_level_values("market") == "KRW-ETH")
    label = np.where(eth, 0, 2).astype("int8")
    told = replace(given, label=label)
    rows = np.flatnonzero(given.time < hours(240, 1)[0])
    shares = training_shares(told.take(rows), told)
    worth = 240 / 24
    own = (worth + SHRUNK * 0.5) / (worth + SHRUNK)
    assert shares[eth] == pytest.approx(np.tile([own, 0.0, 1 - own], (480, 1)))
    assert shares[~eth] == pytest.approx(np.tile([1 - own, 0.0, own], (480, 1)))


def test_a_market_without_training_rows_has_the_shares_of_all() -> None:
    given = samples({"KRW-BTC": hours(0, 480), "KRW-ETH": hours(240, 240)})
    rows = np.flatnonzero(given.time < hours(240, 1)[0])
    shares = training_shares(given.take(rows), given)
    counts = np.bincount(given.label[rows], minlength=3) / len(rows)
    eth = given.index.get_level_values("market") == "KRW-ETH"
    assert shares[eth] == pytest.approx(np.tile(counts, (240, 1)))
    alone = training_shares(given.take(rows), given.take(rows))
    assert np.array_equal(alone, np.tile(counts, (len(rows), 1))), "one market: its own, unmixed"


# money


def pool_of(*names: str) -> Pool:
    node = {**market().model_dump(), "exchange": "upbit"}
    members = [{**node, "name": name, "symbol": name} for name in names]
    pool = parse_market(
        {"name": "KRW-ALL", "exchange": "upbit", "source": "here", "members": members}, "pool"
    )
    assert isinstance(pool, Pool)
    return pool


def test_every_member_is_traded_on_its_own() -> None:
    walks = {
        name: random_walk(np.random.default_rng(seed), 1200 - 200 * seed)
        for seed, name in enumerate(("KRW-BTC", "KRW-ETH"))
    }
    candles = pd.concat([key_by_market(frame, name) for name, frame in walks.items()])
    heads = {name: of_market(direction(frame).joined, "SIM-BTC") for name, frame in walks.items()}
    pooled = pd.concat([key_by_market(frame, name) for name, frame in heads.items()])
    setup = Setup(profile("upbit_spot"), market(), "1h")
    pool = pool_of(*walks, "KRW-XRP")
    made = trade_pool({"direction": Predicted(pooled, CLASSES)}, candles, setup, pool)
    assert list(made.members) == list(walks), "without a row there is nothing to trade"
    alone = {
        name: trade(
            {"direction": Predicted(key_by_market(heads[name], name), CLASSES)},
            frame,
            replace(setup, market=member_of(pool, name)),
        )
        for name, frame in walks.items()
    }
    facts = made.facts()
    assert facts["members"] == {name: each.facts() for name, each in alone.items()}
    returns = [each.flat()["net_return"] for each in alone.values()]
    flat = made.flat()
    assert flat["net_return"] == pytest.approx(np.mean(returns), rel=1e-4)
    assert flat["trades"] == sum(len(each.trades()) for each in alone.values()) > 50
    assert 0 <= flat["max_drawdown"] <= max(each.flat()["max_drawdown"] for each in alone.values())
    assert set(flat) == {"net_return", "sharpe", "max_drawdown", "trades"}
    trades = made.trades()
    assert trades.columns[0] == "market"
    assert trades["market"].value_counts().to_dict() == {
        name: len(each.trades()) for name, each in alone.items()
    }
    assert made.curve["equity"].iloc[0] == pytest.approx(1.0, abs=0.01)
    assert made.equity()["time"].is_monotonic_increasing is False, "three series below each other"


def test_what_cannot_be_traded_says_why() -> None:
    frame = random_walk(np.random.default_rng(1), 600)
    rows = of_market(direction(frame).joined, "SIM-BTC").rename(columns=lambda name: f"x{name}")
    rows = rows.rename(columns={"xfold": "fold", "xends_at": "ends_at"})
    keyed = {name: key_by_market(rows, name) for name in ("KRW-BTC", "KRW-ETH")}
    heads = {"risk": Predicted(pd.concat(list(keyed.values())), ("calm", "high"))}
    candles = pd.concat([key_by_market(frame, name) for name in keyed])
    setup = Setup(profile("upbit_spot"), market(), "1h")
    made = trade_pool(heads, candles, setup, pool_of(*keyed))
    assert made.facts() == {"traded": False, "why_not": made.why_not}
    assert "nothing to trade" in made.why_not
    assert made.flat() == {}
    assert made.trades().empty
    assert made.equity().empty


def test_a_pool_without_members_is_no_market() -> None:
    with pytest.raises(ConfigError, match="symbol"):
        parse_market({"name": "KRW-ALL", "exchange": "upbit", "source": "here"}, "pool")
    assert to_yaml(market().model_dump()) == to_yaml(
        parse_market(market().model_dump(), "one").model_dump()
    )


def test_markets_that_share_a_moment_share_its_weight_in_a_calibration() -> None:
    given = samples({"KRW-BTC": hours(0, 300), "KRW-ETH": hours(100, 300)})
    every = np.arange(len(given.rows))
    judged = OutOfFoldRows(every, np.full((len(every), 3), 1 / 3), given.label)
    recorder = Recorder()
    assert calibrated_on([judged, judged], given, recorder).rows == len(every)
    ((_, _, weight),) = recorder.fits
    assert weight.sum() == pytest.approx(400 / 24), "400 moments, however many markets"
    shared = np.tile(given.time.isin(hours(100, 200)), 2)
    assert weight[shared] == pytest.approx(1 / 24 / 4)
    assert weight[~shared] == pytest.approx(1 / 24 / 2)


def test_a_pool_without_any_member_says_why() -> None:
    empty = PooledTrading({})
    assert "No member" in empty.why_not
    assert empty.facts() == {"traded": False, "why_not": empty.why_not}
