"""Markets of an audit are what their law says, and its verdict counts as it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.experiments.audit.check import CHECKS
from pipeline.experiments.audit.markets import (
    NOISE,
    TIMING,
    Law,
    draw,
    drift_of,
    information_coefficient,
    shuffled_blocks,
)
from pipeline.experiments.audit.oracle import Known, sharpe_after_costs
from pipeline.experiments.audit.plans import market_plans
from pipeline.experiments.audit.power import (
    FOUND_SHARE,
    FULL,
    SHORT,
    UNLUCKY,
    batches,
    least_found,
    planted,
    told,
)
from pipeline.experiments.audit.trials import Judge, Judged, Trial
from tests.conftest import recorded
from tests.spine import CONF, chosen

ROWS = 60_000


def returns_of(candles: pd.DataFrame) -> np.ndarray:
    return np.diff(candles["close"].to_numpy()) / candles["close"].to_numpy()[:-1]


def drawn(law: Law, seed: int = 3) -> pd.DataFrame:
    return draw(law, ROWS, "1h", np.random.default_rng(seed)).candles


@pytest.mark.parametrize("law", [NOISE, TIMING, planted(0.15)], ids=lambda law: law.name)
def test_candles_are_sound_and_those_of_their_seed(law: Law) -> None:
    candles = drawn(law)
    prices = candles[["open", "close"]]
    assert (candles["low"] <= prices.min(axis=1)).all()
    assert (candles["high"] >= prices.max(axis=1)).all()
    assert (candles > 0).all().all()
    assert candles.index.tz is not None
    assert (candles["open"].to_numpy()[1:] == candles["close"].to_numpy()[:-1]).all()
    pd.testing.assert_frame_equal(candles, drawn(law))
    assert not candles.equals(drawn(law, seed=4))


def test_noise_moves_in_clusters_with_fat_tails_and_seasons_and_goes_nowhere() -> None:
    candles = drawn(NOISE)
    moves = returns_of(candles)
    size, time = np.abs(moves), pd.DatetimeIndex(candles.index)[1:]
    assert abs(moves.mean()) < 3 * moves.std() / np.sqrt(len(moves))
    assert abs(np.corrcoef(moves[1:], moves[:-1])[0, 1]) < 0.03
    assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.15
    assert ((moves - moves.mean()) ** 4).mean() / moves.var() ** 2 > 6
    by_hour = pd.Series(size).groupby(time.hour).mean()
    by_day = pd.Series(size).groupby(time.day_of_week).mean()
    assert by_hour.idxmax() in range(13, 18)
    assert by_hour.max() > 1.5 * by_hour.min()
    assert by_day[[5, 6]].max() < 0.75 * by_day[[0, 1, 2, 3, 4]].min()
    assert moves.std() * np.sqrt(8760) == pytest.approx(0.62, abs=0.1)


def test_timing_is_foretold_for_longer_than_noise() -> None:
    day = {law.name: np.abs(returns_of(drawn(law))) for law in (NOISE, TIMING)}
    later = {name: np.corrcoef(size[48:], size[:-48])[0, 1] for name, size in day.items()}
    assert later["timing"] > later["noise"] + 0.05


@pytest.mark.parametrize(("edge", "ahead"), [(0.15, 1), (0.05, 1), (0.15, 24), (0.3, 24)])
def test_an_edge_is_as_large_as_it_says(edge: float, ahead: int) -> None:
    law = Law(name="planted", edge=edge, edge_candles=ahead)
    made = draw(law, 400_000, "1h", np.random.default_rng(1))
    assert information_coefficient(made, ahead) == pytest.approx(edge, abs=0.025)
    assert drift_of(law) > drift_of(NOISE) == 0.0


def test_knowing_the_state_pays_after_costs_only_where_there_is_an_edge() -> None:
    found = {
        edge: sharpe_after_costs(
            draw(planted(edge), 200_000, "1h", np.random.default_rng(2)), 7e-4, "1h"
        )
        for edge in (0.0, 0.05, 0.15)
    }
    assert found[0.0] < 0 < found[0.05] < found[0.15]
    assert found[0.05] > 2 < found[0.15]
    dear = sharpe_after_costs(
        draw(planted(0.15), 20_000, "1h", np.random.default_rng(2)), 0.05, "1h"
    )
    assert dear < 0


def test_a_true_edge_of_bars_is_gone_when_they_are_shuffled() -> None:
    bars = draw(planted(0.3), 20_000, "1h", np.random.default_rng(2)).candles
    made = shuffled_blocks(bars, 20_000, 24, np.random.default_rng(1))

    def follows(candles: pd.DataFrame) -> float:
        moves = returns_of(candles)
        return float(np.corrcoef(moves[1:], moves[:-1])[0, 1])

    def clusters(candles: pd.DataFrame) -> float:
        sizes = np.abs(returns_of(candles))
        return float(np.corrcoef(sizes[1:], sizes[:-1])[0, 1])

    assert follows(bars) > 0.1
    assert abs(follows(made)) < 0.03
    assert clusters(made) > clusters(bars) / 2 > 0.05


@pytest.mark.real
def test_recorded_bars_keep_their_shapes_and_lose_their_direction(real_data: Path) -> None:
    bars = recorded(real_data / "upbit" / "KRW-BTC-60m.parquet")
    made = shuffled_blocks(bars, 5000, 24, np.random.default_rng(1))
    assert len(made) == len(bars) // 24 * 24
    assert len(shuffled_blocks(bars, 500, 24, np.random.default_rng(1))) == 480
    assert made["volume"].nunique() > 0.99 * len(made)
    prices = made[["open", "close"]]
    assert (made["low"] <= prices.min(axis=1) * (1 + 1e-12)).all()
    assert (made["high"] >= prices.max(axis=1) * (1 - 1e-12)).all()
    assert set(made["volume"]) <= set(bars["volume"])
    moves, own = returns_of(made), returns_of(bars)
    assert moves.std() == pytest.approx(own.std(), rel=0.15)
    assert abs(moves.mean()) < 4 * moves.std() / np.sqrt(len(moves))


def judge_of(*classes: str) -> Judge:
    head = {"direction": {"classes": classes}}
    plan: Any = SimpleNamespace(stages={"train": {"heads": head}})
    return Judge({"trade": plan, "risk": plan}, FULL.rows)


def judged(verdict: str = "observe", failed: tuple[str, ...] = (), skill: float = 0.1) -> Judged:
    return Judged(verdict, failed, skill, 0.0, 100.0, Known(0.15, 0.4, 9.0))


@pytest.mark.parametrize(
    ("name", "promoted", "of", "passed"),
    [
        ("noise", 10, 200, True),
        ("noise", 11, 200, False),
        ("timing", 2, 50, True),
        ("timing", 3, 50, False),
        ("noise", 1, 4, True),
        ("noise", 2, 4, False),
        ("planted", 45, 50, True),
        ("planted", 44, 50, False),
        ("planted", 3, 4, True),
        ("planted", 2, 4, False),
        ("planted", 0, 1, False),
    ],
)
def test_counts_pass_up_to_their_limit(name: str, promoted: int, of: int, passed: bool) -> None:
    markets = [judged("promote" if each < promoted else "observe") for each in range(of)]
    (result,) = told({name: markets})
    assert result.passed is passed
    assert result.number.startswith(f"{promoted} of {of}")


def test_a_risk_head_is_found_without_a_direction_and_not_without_skill() -> None:
    direction_alone = judged(failed=("direction_skill",), skill=float("nan"))
    assert direction_alone.found
    assert not judged(failed=("direction_skill", "brier_skill")).found
    assert not judged(failed=("effective_rows",)).found
    assert not judged("refuse", ("finite",)).found
    assert told({"risk": [direction_alone] * 9 + [judged(failed=("brier_skill",))]})[0].passed
    assert not told({"risk": [judged(failed=("brier_skill",))] * 2})[0].passed


def test_a_recipe_that_finds_as_many_as_it_should_fails_once_in_a_hundred() -> None:
    rng = np.random.default_rng(4)
    for markets in (2, 4, 10, 20, 50):
        found = rng.binomial(markets, FOUND_SHARE, 200_000)
        least = least_found(markets)
        assert (found < least).mean() <= UNLUCKY + 0.001, markets
        assert least == markets or (found < least + 1).mean() > UNLUCKY - 0.001, markets


def test_where_no_head_tells_a_direction_nothing_could_be_promoted_and_that_is_told() -> None:
    blind = judged(skill=float("nan"))
    (noise,) = told({"noise": [blind]})
    assert noise.passed is None
    assert "the gate lets none trade" in noise.number
    broken = replace(blind, verdict="promote")
    assert told({"noise": [broken, broken]})[0].passed is False


def test_weaker_edges_tell_power_and_fail_nothing() -> None:
    weaker, blind = told(
        {"planted 0.05": [judged()] * 3, "planted": [judged(skill=float("nan"))] * 3}
    )
    assert (weaker.passed, blind.passed) == (None, None)
    assert "0 of 3 found" in weaker.number
    assert "no head tells sell from buy" in blind.number
    assert weaker.catches == CHECKS["planted"]


def test_full_volumes_are_those_promised_and_no_seed_is_used_twice() -> None:
    judge = judge_of("sell", "hold", "buy")
    found = {batch.name: batch.trials for batch in batches(FULL, judge)}
    counts = {name: len(trials) for name, trials in found.items()}
    assert (counts["noise"], counts["timing"], counts["risk"], counts["planted"]) == (
        *(200, 50, 50, 50),
    )
    assert "bars" not in counts
    seeds = [trial.seed for name in ("noise", "timing", "planted") for trial in found[name]]
    assert len(set(seeds)) == len(seeds)
    assert SHORT.noise + SHORT.timing + SHORT.planted + SHORT.shuffled == 14
    blind = {batch.name: len(batch.trials) for batch in batches(FULL, judge_of("wait", "enter"))}
    assert blind == {"shuffled": 1, "noise": 1, "timing": 1, "risk": 50, "planted": 1}


def test_members_of_a_pool_have_more_than_their_share_of_the_candles() -> None:
    judge = Judge(market_plans(chosen("recipe=upbit_pooled", "market=recipe"), CONF), 2000)
    plan = judge.plans["trade"]
    candles, _ = judge._market(plan.run.market, plan.run.timeframe, Trial(NOISE, 1))
    assert candles.groupby(level="market").size().tolist() == [1000] * 4
