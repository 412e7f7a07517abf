"""What two versions earn, held against each other day by day."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.backtest import Setup
from pipeline.evaluation.bootstrap import over_moments
from pipeline.evaluation.comparison import NO_ROWS, OutOfFold
from pipeline.evaluation.money_comparison import (
    SILENT,
    _horizon_days,
    common_moments,
    compare_money,
)
from pipeline.evaluation.trading import Predicted, trade
from pipeline.frames import key_by_market, of_market
from pipeline.market.store import CandleStore, Series
from pipeline.operations.versions.comparing import Side, money
from registry.evidence import FEW_DAYS, ChampionEvidence, MoneyEvidence
from tests.oracles.walks import random_walk
from tests.unit.test_backtest import market, peeking, profile
from tests.volume import volume

CLASSES = ("sell", "hold", "buy")
SETUP = Setup(profile("upbit_spot"), market(), "1h")
HOUR = pd.Timedelta(hours=1)


def side(said: pd.DataFrame, ahead: int = 3) -> dict[str, OutOfFold]:
    """A head that says `said`: p_long and p_short by candle."""
    rows = pd.DataFrame({"p_buy": said["p_long"], "p_sell": said["p_short"]})
    rows["fold"] = np.arange(len(rows)) * 3 // len(rows)
    rows["ends_at"] = pd.DatetimeIndex(rows.index) + (ahead + 1) * HOUR
    return {"direction": OutOfFold(key_by_market(rows, "SIM-BTC"), CLASSES, "label")}


def guessing(candles: pd.DataFrame, rng: np.random.Generator) -> dict[str, OutOfFold]:
    """A head that knows nothing and says much."""
    said = rng.uniform(0.2, 0.8, len(candles))
    return side(pd.DataFrame({"p_long": said, "p_short": 1 - said}, candles.index))


@pytest.fixture(scope="module")
def candles() -> pd.DataFrame:
    return random_walk(np.random.default_rng(5), 1500)


@pytest.fixture(scope="module")
def knowing(candles: pd.DataFrame) -> dict[str, OutOfFold]:
    return side(peeking(candles, 3).iloc[300:-3])


@pytest.fixture(scope="module")
def blind(candles: pd.DataFrame) -> dict[str, OutOfFold]:
    return guessing(candles.iloc[100:-100], np.random.default_rng(1))


def test_the_difference_is_that_of_two_backtests(
    candles: pd.DataFrame, knowing: dict[str, OutOfFold], blind: dict[str, OutOfFold]
) -> None:
    found = compare_money(knowing, blind, candles, SETUP)
    times = common_moments(knowing, blind, "SIM-BTC")
    assert (times[0], times[-1]) == (candles.index[300], candles.index[-101])
    daily = []
    for heads in (knowing, blind):
        rows = of_market(heads["direction"].frame, "SIM-BTC").loc[times]
        told = {"direction": Predicted(key_by_market(rows, "SIM-BTC"), CLASSES)}
        made = trade(told, candles, SETUP)
        daily.append(made.daily_returns())
        total = made.flat()["net_return"]
        side_return = found.candidate_return if heads is knowing else found.champion_return
        assert side_return == pytest.approx(total, rel=1e-5)
    difference = daily[0] - daily[1]
    assert found.days == len(difference) == 47
    assert found.differing_days == np.count_nonzero(difference) >= FEW_DAYS
    assert found.daily_difference == pytest.approx(difference.mean())
    assert 0 < found.low < found.daily_difference < found.high
    assert found.word == "better"
    back = compare_money(blind, knowing, candles, SETUP)
    assert back.word == "worse"
    assert back.daily_difference == -found.daily_difference
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low), rel=0.2)


def test_a_head_without_a_row_is_asked_of_neither(
    candles: pd.DataFrame,
    knowing: dict[str, OutOfFold],
    blind: dict[str, OutOfFold],
    tmp_path: Path,
) -> None:
    """Of later rows a version says nothing where they are those of trades."""
    store = CandleStore(tmp_path)
    store.append(Series("simulated", "SIM-BTC", "1h"), candles)
    exits = replace(blind["direction"], classes=("stay", "leave"))
    nothing = replace(exits, frame=exits.frame.iloc[:0])
    ours = Side("simulated", "1h", {**knowing, "long_exit": exits}, SETUP)
    theirs = Side("simulated", "1h", {**blind, "long_exit": nothing}, SETUP)
    alone = [Side("simulated", "1h", heads, SETUP) for heads in (knowing, blind)]
    assert money(ours, theirs, store) == money(alone[0], alone[1], store)
    none = Side("simulated", "1h", {"long_exit": nothing}, SETUP)
    assert money(ours, none, store).why_not == NO_ROWS


def test_it_is_told_in_a_sentence(
    candles: pd.DataFrame, knowing: dict[str, OutOfFold], blind: dict[str, OutOfFold]
) -> None:
    found = compare_money(knowing, blind, candles, SETUP)
    told = found.sentence("v0002", "v0001")
    assert told.startswith("After costs, on 47 common days, v0002 came to +")
    assert told.endswith(": by money v0002 is better.")
    same = compare_money(blind, blind, candles, SETUP)
    assert (same.differing_days, same.daily_difference, same.word) == (0, 0.0, "undecidable")
    assert "came to the same" in same.sentence("it", "v0001")
    few = found.model_copy(update={"differing_days": 3})
    assert few.sentence("it", "v0001").endswith(
        f"by money it is undecidable, for only 3 days differ and {FEW_DAYS} are needed."
    )
    champion = ChampionEvidence(
        version="v0001", mode="trade", comparable=True, common_rows=60, log_loss_difference=-0.02,
        low=-0.03, high=-0.01, money=found,
    )  # fmt: skip
    assert champion.word == "better"
    assert champion.sentence() == (
        "By log loss against v0001 it is better (-0.0200 a row on 60 common rows, with 90 % "
        f"confidence -0.0300 to -0.0100). {found.sentence('it', 'v0001')}"
    )
    both = champion.model_copy(update={"comparable": False, "why_not": "Why."})
    assert both.sentence().startswith("The log loss of v0001 is no evidence: Why. After costs")
    money_too = MoneyEvidence(comparable=False, why_not="Why.")
    assert both.model_copy(update={"money": money_too}).sentence() == (
        "Neither by log loss nor by money can it be compared with v0001: Why."
    )
    apart = ChampionEvidence(version="v0001", mode="trade", comparable=False, why_not="Why.")
    assert apart.sentence() == "The log loss of v0001 is no evidence: Why."
    assert apart.word == "undecidable"


def test_few_days_that_differ_are_no_proof() -> None:
    sure = {"comparable": True, "days": 60, "daily_difference": 0.01, "low": 0.005, "high": 0.015}
    words = [
        MoneyEvidence.model_validate({**sure, "differing_days": days}).word
        for days in (FEW_DAYS - 1, FEW_DAYS)
    ]
    assert words == ["undecidable", "better"]


def test_a_label_of_another_kind_is_no_obstacle_and_a_silent_head_is(
    candles: pd.DataFrame, knowing: dict[str, OutOfFold], blind: dict[str, OutOfFold]
) -> None:
    other = {"direction": replace(knowing["direction"], label="another")}
    assert compare_money(other, blind, candles, SETUP).comparable
    frame = knowing["direction"].frame.rename(columns={"p_buy": "p_high", "p_sell": "p_low"})
    risk = {"risk": OutOfFold(frame, ("low", "high"), "label")}
    assert compare_money(risk, blind, candles, SETUP).why_not == SILENT
    elsewhere = {"direction": replace(blind["direction"], frame=blind["direction"].frame.iloc[:0])}
    assert compare_money(elsewhere, blind, candles, SETUP).why_not == SILENT
    early = {"direction": replace(blind["direction"], frame=blind["direction"].frame.iloc[:99])}
    assert "no candle" in compare_money(knowing, early, candles, SETUP).why_not


def test_predictions_that_flatter_are_refused(
    candles: pd.DataFrame, knowing: dict[str, OutOfFold], blind: dict[str, OutOfFold]
) -> None:
    head = knowing["direction"]
    refit = {"direction": replace(head, frame=head.frame.assign(fold=-1))}
    assert "out of fold of the candidate" in compare_money(refit, blind, candles, SETUP).why_not
    later = {"direction": replace(head, chronological=False)}
    told = "the candidate's models were trained on later candles too, the champion's were not"
    assert compare_money(later, blind, candles, SETUP).why_not == told
    back = compare_money(blind, later, candles, SETUP)
    assert "the champion's models were trained on later candles too" in back.why_not
    assert compare_money(later, later, candles, SETUP).comparable, "both knew what came later"


def test_a_deployed_model_is_traded_by_stated_thresholds(
    candles: pd.DataFrame, knowing: dict[str, OutOfFold], blind: dict[str, OutOfFold]
) -> None:
    head = knowing["direction"]
    as_of = head.frame.index.get_level_values("time")[0]
    deployed = {"direction": replace(head, frame=head.frame.drop(columns="fold"), as_of=as_of)}
    folds = replace(SETUP, profile=SETUP.profile.model_copy(update={"thresholds": "folds"}))
    found = compare_money(deployed, blind, candles, folds)
    assert found == compare_money(knowing, blind, candles, SETUP)
    assert found != compare_money(knowing, blind, candles, folds)


def test_candles_come_from_the_store(
    tmp_path: Path,
    candles: pd.DataFrame,
    knowing: dict[str, OutOfFold],
    blind: dict[str, OutOfFold],
) -> None:
    store, series = CandleStore(tmp_path), Series("simulated", "SIM-BTC", "1h")
    ours, theirs = (Side("simulated", "1h", heads, SETUP) for heads in (knowing, blind))
    assert "does not hold the candles of 1h" in money(ours, theirs, store).why_not
    store.append(series, candles)
    assert money(ours, theirs, store) == compare_money(knowing, blind, candles, SETUP)
    assert money(ours, replace(theirs, feed="other"), store).why_not.startswith("the champion saw")
    assert "no profile" in money(replace(ours, setup=None), theirs, store).why_not


def test_blocks_of_days_hold_two_horizons() -> None:
    day, week = over_moments(365, 1), over_moments(365, 7)
    assert (round(day.length, 1), week.length) == (7.1, 14.0)
    assert 1 < day.widening < week.widening < 1.1


def test_equal_guesses_are_called_unequal_as_often_as_stated() -> None:
    pairs = volume(50)
    words = []
    for seed in range(pairs):
        rng = np.random.default_rng([seed, 3])
        walk = random_walk(rng, 1500)
        words.append(compare_money(guessing(walk, rng), guessing(walk, rng), walk, SETUP).word)
    slack = 0.03 if pairs >= 1000 else 0.12
    for word in ("better", "worse"):
        assert words.count(word) / pairs == pytest.approx(0.05, abs=slack)


def test_the_interval_knows_how_long_an_outcome_takes(
    candles: pd.DataFrame, knowing: dict[str, OutOfFold], blind: dict[str, OutOfFold]
) -> None:
    def later(heads: dict[str, OutOfFold]) -> dict[str, OutOfFold]:
        head = heads["direction"]
        frame = head.frame.assign(ends_at=head.frame["ends_at"] + 200 * HOUR)
        return {"direction": replace(head, frame=frame)}

    near = compare_money(knowing, blind, candles, SETUP)
    far = compare_money(later(knowing), blind, candles, SETUP)
    assert near.daily_difference == far.daily_difference
    assert near.low != far.low
    rows = {"direction": Predicted(knowing["direction"].frame, CLASSES)}
    assert _horizon_days([rows], SETUP) == 1
    longer = {"direction": Predicted(later(knowing)["direction"].frame, CLASSES)}
    assert _horizon_days([rows, longer], SETUP) == 9, "203 hours"
    held = replace(SETUP, profile=profile("upbit_spot", max_holding="72h"))
    assert _horizon_days([rows], held) == 3


def test_a_pool_is_told_to_be_one(
    knowing: dict[str, OutOfFold], candles: pd.DataFrame, tmp_path: Path
) -> None:
    head = knowing["direction"]
    both = pd.concat([head.frame, head.frame.rename(index={"SIM-BTC": "SIM-ETH"}, level="market")])
    pool = Side("simulated", "1h", {"direction": replace(head, frame=both)})
    one = Side("simulated", "1h", knowing, SETUP)
    store = CandleStore(tmp_path)
    store.append(Series("simulated", "SIM-BTC", "1h"), candles)
    assert "the money of a pool is not compared" in money(pool, one, store).why_not
    assert money(one, pool, store).comparable, "that of its member is"
    assert "no profile" in money(replace(one, setup=None), one, store).why_not
