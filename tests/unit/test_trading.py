"""Out-of-fold rows become signals, and a backtest becomes files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation import fold_thresholds
from pipeline.evaluation.backtest import Setup
from pipeline.evaluation.backtest.arrays import Candles, Rules, Signals
from pipeline.evaluation.backtest.simulate import Trades, simulate
from pipeline.evaluation.backtest.thresholds import UNREACHED
from pipeline.evaluation.fold_thresholds import (
    GRID,
    with_fold_thresholds,
    with_scales,
    without_thresholds,
)
from pipeline.evaluation.trading import MOST_MOMENTS, Predicted, signals_of, trade
from pipeline.frames import key_by_market, of_market
from pipeline.runner import to_json
from tests.oracles.walks import random_walk
from tests.unit.test_backtest import market, peeking, profile

CLASSES = ("sell", "hold", "buy")
SETUP = Setup(profile("upbit_spot"), market(), "1h")


@pytest.fixture(scope="module")
def candles() -> pd.DataFrame:
    return random_walk(np.random.default_rng(5), 1500)


def direction(candles: pd.DataFrame, ahead: int = 3) -> Predicted:
    """A head that knows the next hours, tested from the 300th candle in three folds."""
    known = peeking(candles, ahead).iloc[300:-ahead]
    rows = pd.DataFrame({"p_buy": known["p_long"], "p_sell": known["p_short"]})
    rows["fold"] = np.arange(len(rows)) * 3 // len(rows)
    rows["ends_at"] = pd.DatetimeIndex(rows.index).shift(ahead + 1, freq="h")
    return Predicted(key_by_market(rows, "SIM-BTC"), CLASSES)


def role(candles: pd.DataFrame, side: str, of: str) -> Predicted:
    rows = direction(candles).joined.rename(columns={f"p_{side}": f"p_{of}"})
    return Predicted(rows, ("no", of))


def test_a_run_is_traded_as_its_rows_say(candles: pd.DataFrame) -> None:
    made = trade({"direction": direction(candles)}, candles, SETUP)
    assert made.result is not None
    assert made.flat()["net_return"] > 0.05
    assert made.flat()["trades"] == len(made.trades()) > 50
    assert set(made.flat()) == {"net_return", "sharpe", "max_drawdown", "trades"}
    facts = made.facts()
    to_json(facts)
    assert facts["traded"]
    assert list(facts["costs"]) == ["1x", "2x"]
    assert facts["probabilistic_sharpe"] > 0.9
    assert facts["from"] >= candles.index[300].isoformat(), "in-sample candles are not traded"
    one, many = made.deflated_sharpe(1), made.deflated_sharpe(10_000)
    assert one == facts["probabilistic_sharpe"]
    assert one is not None
    assert many is not None
    assert many < one
    days = made.daily_returns()
    sharpe = days.mean() / days.std(ddof=1) * np.sqrt(365.25)
    assert sharpe == pytest.approx(facts["costs"]["1x"]["sharpe"])


def test_the_longest_label_is_held_against_the_holding(candles: pd.DataFrame) -> None:
    short = trade({"direction": direction(candles, 24)}, candles, SETUP)
    long = trade({"direction": direction(candles, 25)}, candles, SETUP)
    assert "horizon_beyond_holding" not in short.facts()["flags"]
    assert "25 h ahead" in long.facts()["flags"]["horizon_beyond_holding"]


def test_the_equity_is_drawn_to_its_end(candles: pd.DataFrame) -> None:
    made = trade({"direction": direction(candles)}, candles, SETUP)
    assert made.result is not None
    drawn = made.equity()
    wide = drawn.set_index(["time", "series"])["equity"].unstack()  # noqa: PD010
    assert len(wide) <= MOST_MOMENTS < len(made.result.curve)
    curve = made.result.curve
    last = curve.iloc[-1]
    assert drawn["time"].max() == f"{curve.index[-1]:%Y-%m-%dT%H:%MZ}"
    assert wide["traded"].iloc[-1] == last["equity"]
    assert wide["buy and hold"].iloc[-1] == last["buy_and_hold"]
    assert (wide["always flat"] == 1.0).all()


def test_four_heads_say_one_column_each(candles: pd.DataFrame) -> None:
    heads = {
        "long_entry": role(candles, "buy", "enter"),
        "short_entry": role(candles, "sell", "enter"),
    }
    rows = heads["long_entry"].joined.rename(columns={"p_enter": "p_exit"}).iloc[:3]
    stamp = rows.index.get_level_values("time")
    again = rows.assign(p_exit=[0.0, 0.25, 1.0], trade=stamp[0])
    both = pd.concat([again, again.iloc[1:2].assign(p_exit=0.75, trade=stamp[1])])
    both = both.set_index("trade", append=True).reorder_levels(["market", "trade", "time"])
    heads["long_exit"] = Predicted(both.sort_index(), ("stay", "exit"))
    signals = signals_of(heads, "SIM-BTC")
    assert list(signals) == ["p_long", "p_short", "p_exit_long"]
    assert signals["p_exit_long"].iloc[:3].tolist() == [0.0, 0.5, 1.0]
    assert signals["p_exit_long"].iloc[3:].isna().all()
    known = peeking(candles)
    assert signals["p_long"].equals(known["p_long"].reindex(signals.index))
    setup = replace(SETUP, profile=profile("bingx_futures"))
    assert trade(heads, candles, setup).facts()["traded"]


def test_what_cannot_be_traded_says_why(candles: pd.DataFrame) -> None:
    known = direction(candles)
    risk = Predicted(known.joined, ("calm", "high"))
    finer = replace(SETUP, profile=profile("upbit_spot_30min"))
    cases = [
        ({"risk": risk}, SETUP, "no head says when to enter"),
        ({"long_exit": role(candles, "buy", "exit")}, SETUP, "no head says when to enter"),
        ({"one": known, "two": known}, SETUP, "several heads"),
        ({"direction": known}, finer, "candles of 30m"),
    ]
    for heads, setup, why in cases:
        made = trade(heads, candles, setup)
        assert made.facts() == {"traded": False, "why_not": made.why_not}
        assert why in made.why_not
        assert made.flat() == {}
        assert made.equity().to_csv(index=False) == "time,series,equity\n"
        assert made.deflated_sharpe(1) is None


def test_a_threshold_is_chosen_with_as_many_positions_as_are_traded(
    candles: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()

    def noted(bars: Candles, signals: Signals, rules: Rules, positions: int) -> Trades:
        seen.add((positions, rules.short_threshold))
        return simulate(bars, signals, rules, positions)

    monkeypatch.setattr(fold_thresholds, "simulate", noted)
    head = direction(candles)
    rows = of_market(head.joined, "SIM-BTC")
    setup = replace(SETUP, profile=profile("upbit_spot", thresholds="folds"))
    with_fold_thresholds(signals_of({"direction": head}, "SIM-BTC"), [rows], candles, setup)
    assert setup.profile.positions == 3
    assert seen == {(3, setup.profile.short_threshold)}


def test_a_fold_is_entered_from_what_earned_before_it(candles: pd.DataFrame) -> None:
    head = direction(candles)
    rows = of_market(head.joined, "SIM-BTC")
    signals = signals_of({"direction": head}, "SIM-BTC")
    setup = replace(SETUP, profile=profile("bingx_futures", thresholds="folds"))
    told = with_fold_thresholds(signals, [rows], candles, setup)
    first = told[(rows["fold"] == 0).to_numpy()]
    assert (first["long_threshold"] == 0.7).all()
    assert (told["exit_threshold"] == 0.7).all()
    for fold in range(3):
        assert (
            len(told[(rows["fold"] == fold).to_numpy()][["long_threshold"]].drop_duplicates()) == 1
        )
    last = (rows["fold"] == 2).to_numpy()
    chosen = told["long_threshold"][last].iloc[0]
    assert chosen in GRID[:-1]

    unlike = signals.copy()
    unlike[last] = 1.0 - signals[last]
    crash = candles.copy()
    crash.loc[rows.index[last][0] :] *= 0.5
    same = with_fold_thresholds(unlike, [rows], crash, setup)
    assert same["long_threshold"][last].iloc[0] == chosen

    wrong = signals.copy()
    wrong[~last] = 1.0 - signals[~last]
    warned = with_fold_thresholds(wrong, [rows], candles, setup)
    assert (warned["long_threshold"][last] == max(GRID)).all()
    assert trade({"direction": head}, candles, setup).facts()["traded"]


def test_thresholds_are_chosen_on_rows_of_the_folds_own_scale(candles: pd.DataFrame) -> None:
    """Fold 0 has no calibrator, so nothing speaks for fold 1; the raw rows are worth nothing."""
    head = direction(candles)
    fits = [
        {"fit": "fold 0", "calibration": {"left_out": "no fold before this one"}},
        *({"fit": f"fold {number}", "calibration": {"rows": 400}} for number in (1, 2)),
    ]
    rows = with_scales(of_market(head.joined, "SIM-BTC"), fits)
    setup = replace(SETUP, profile=profile("bingx_futures", thresholds="folds"))
    signals = signals_of({"direction": head}, "SIM-BTC")
    told = with_fold_thresholds(signals, [rows], candles, setup)
    by_fold = {
        fold: told.loc[(rows["fold"] == fold).to_numpy(), ["long_threshold", "short_threshold"]]
        for fold in range(3)
    }
    assert (by_fold[0] == UNREACHED).all(axis=None)
    assert (by_fold[1] == UNREACHED).all(axis=None)
    chosen = by_fold[2].iloc[0].to_list()
    assert set(chosen) <= {*GRID[:-1]}

    wrong = signals.copy()
    raw = (rows["fold"] == 0).to_numpy()
    wrong[raw] = 1.0 - signals[raw]
    same = with_fold_thresholds(wrong, [rows], candles, setup)
    assert same.loc[told.index[-1], ["long_threshold", "short_threshold"]].to_list() == chosen

    marked = Predicted(with_scales(head.joined, fits), CLASSES)
    made = trade({"direction": marked}, candles, setup)
    assert made.result is not None
    until = by_fold[1].index[-1]
    assert made.trades()["entry_time"].min() > until
    flag = made.facts()["flags"]["folds_without_threshold"]
    assert f"{len(by_fold[0]) + len(by_fold[1])} of {len(told)} candles" in flag
    assert f"the last at {until:%Y-%m-%d %H:%M} UTC" in flag


def test_folds_that_are_all_of_one_scale_are_as_without_calibration(candles: pd.DataFrame) -> None:
    head = direction(candles)
    rows = of_market(head.joined, "SIM-BTC")
    setup = replace(SETUP, profile=profile("bingx_futures", thresholds="folds"))
    signals = signals_of({"direction": head}, "SIM-BTC")
    plain = with_fold_thresholds(signals, [rows], candles, setup)
    left_out = [{"fit": f"fold {k}", "calibration": {"left_out": "too few"}} for k in range(3)]
    for fits in ([{"fit": f"fold {k}"} for k in range(3)], left_out):
        told = with_fold_thresholds(signals, [with_scales(rows, fits)], candles, setup)
        pd.testing.assert_frame_equal(told, plain)
        assert not without_thresholds(told)


def test_rows_of_trades_stand_beside_rows_of_candles_in_a_fold(candles: pd.DataFrame) -> None:
    """Thresholds to enter from are those of the entries alone; that to leave from is stated."""
    entries = {
        "long_entry": role(candles, "buy", "enter"),
        "short_entry": role(candles, "sell", "enter"),
    }
    rows = role(candles, "sell", "exit").joined
    moments = rows.index.get_level_values("time")
    keyed = rows.assign(trade=moments).set_index("trade", append=True)
    exits = Predicted(keyed.reorder_levels(["market", "trade", "time"]), ("stay", "exit"))
    setup = replace(SETUP, profile=profile("bingx_futures_learnt", exit_threshold=1.0))
    made = trade({**entries, "long_exit": exits}, candles, setup)
    alone = trade(entries, candles, setup)
    assert made.result is not None
    assert alone.result is not None
    assert len(made.trades()) == len(alone.trades()) > 0
    pd.testing.assert_frame_equal(made.result.curve, alone.result.curve)
    leaves = replace(SETUP, profile=profile("bingx_futures_learnt"))
    left = trade({**entries, "long_exit": exits}, candles, leaves)
    assert "signal" in {*left.trades()["reason"]}


def test_signals_are_arrays_of_the_engine(candles: pd.DataFrame) -> None:
    signals = signals_of({"direction": direction(candles)}, "SIM-BTC")
    assert {f"p_{name}" for name in Signals._fields if name != "size"} > {*signals}
