"""Rows drawn again in blocks: against a plain loop, and against what is known of such blocks."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from pipeline.evaluation.bootstrap import (
    WIDEST,
    Blocks,
    block_length,
    blocks_of,
    deviation,
    draw_counts,
    drawn_sums,
    interval,
    widening,
)
from tests.bench.coverage import Case, held, simulated
from tests.volume import volume

START, HOUR = pd.Timestamp("2025-01-01T00:00Z"), pd.Timedelta(hours=1)


def drawn_by_hand(moments: int, length: float, rng: np.random.Generator) -> list[int]:
    """One draw: which moment stands at each place."""
    places: list[int] = []
    while len(places) < moments:
        start, chance = int(rng.random() * moments), 1 - rng.random()
        long = 1 if length == 1 else 1 + int(math.log(chance) / math.log(1 - 1 / length))
        places += [(start + k) % moments for k in range(min(long, moments - len(places)))]
    return places


def keyed(hours: list[int], horizon: int, markets: int = 1) -> pd.DataFrame:
    time = START + np.array(hours) * HOUR
    names = [f"M{k}" for k in range(markets)]
    index = pd.MultiIndex.from_product([names, time], names=["market", "time"])
    ends = index.get_level_values("time") + (horizon + 1) * HOUR
    return pd.DataFrame({"ends_at": ends}, index)


@pytest.mark.parametrize(("moments", "length"), [(1, 1.0), (7, 1.0), (30, 4.5), (40, 10.0)])
def test_draws_are_those_of_a_plain_loop(moments: int, length: float) -> None:
    generator = np.random.default_rng(3)
    moment = np.concatenate([np.arange(moments), generator.integers(0, moments, 20)])
    columns = generator.standard_normal((len(moment), 3))
    blocks = Blocks(moment, moments, length, widening=1.0, draws=50)
    found = drawn_sums(columns, blocks, np.random.default_rng(5))
    assert found[0] == pytest.approx(columns.sum(axis=0))
    rng, same = np.random.default_rng(5), np.random.default_rng(5)
    counts = np.empty(moments, "int64")
    for draw in range(1, 51):
        places = drawn_by_hand(moments, length, rng)
        often = np.bincount(places, minlength=moments)
        assert often.sum() == moments
        assert found[draw] == pytest.approx((columns * often[moment][:, None]).sum(axis=0))
        draw_counts(length, same, counts)
        assert counts.tolist() == often.tolist()


@pytest.mark.parametrize(("moments", "length"), [(60, 1.0), (60, 5.0), (200, 20.0)])
def test_draws_spread_as_the_paper_says(moments: int, length: float) -> None:
    """Politis and Romano 1994, lemma 1: the variance of a drawn mean, from the rows alone."""
    rows = np.cumsum(np.random.default_rng(moments).standard_normal(moments)) / 5
    apart = rows - rows.mean()
    around = [float(np.mean(apart * np.roll(apart, k))) for k in range(moments)]
    stay = 1 - 1 / length
    weighed = [(1 - k / moments) * stay**k * around[k] for k in range(1, moments)]
    true = (around[0] + 2 * sum(weighed)) / moments
    blocks = Blocks(np.arange(moments), moments, length, widening=1.0, draws=20_000)
    found = drawn_sums(rows[:, None], blocks, np.random.default_rng(9))[1:, 0] / moments
    assert found.mean() == pytest.approx(rows.mean(), abs=4 * np.sqrt(true / 20_000))
    assert found.var() == pytest.approx(true, rel=0.05)


def test_blocks_are_as_long_as_asked_and_start_anywhere() -> None:
    rng, total = np.random.default_rng(1), np.zeros(200)
    counts = np.empty(200, "int64")
    breaks = []
    for _ in range(volume(400)):
        draw_counts(20.0, rng, counts)
        total += counts
        places = drawn_by_hand(200, 20.0, rng)
        breaks.append(np.count_nonzero((np.diff(places) % 200) != 1))
    assert np.mean(breaks) == pytest.approx(200 / 20, rel=0.1)
    assert total / total.mean() == pytest.approx(np.ones(200), abs=0.35)


def test_rows_of_one_moment_are_drawn_together() -> None:
    rows = keyed(list(range(50)), 3, markets=4)
    blocks = blocks_of(rows, "1h")
    assert (blocks.moments, len(blocks.moment)) == (50, 200)
    values = np.tile(np.arange(50.0), 4)[:, None] ** 2
    alone = drawn_sums(values[:50], blocks_of(rows.loc[["M0"]], "1h"), np.random.default_rng(2))
    together = drawn_sums(values, blocks, np.random.default_rng(2))
    assert together == pytest.approx(4 * alone)


def test_rows_keyed_by_trade_share_the_moment() -> None:
    rows = keyed(list(range(40)), 2)
    trades = pd.concat({START: rows, START + HOUR: rows}, names=["trade"])
    keys = trades.reorder_levels(["market", "trade", "time"]).sort_index()
    blocks = blocks_of(keys, "1h")
    assert blocks.moments == 40
    assert np.bincount(blocks.moment).tolist() == [2] * 40
    assert blocks.widening == blocks_of(rows, "1h").widening


@pytest.mark.parametrize(("horizon", "length"), [(1, 10.0), (3, 10.0), (24, 48.0), (200, 250.0)])
def test_blocks_hold_two_horizons(horizon: int, length: float) -> None:
    blocks = blocks_of(keyed(list(range(1000)), horizon), "1h")
    assert blocks.length == length
    exact = widening(1000, horizon, length)
    few = scipy.stats.t.ppf(0.95, 1000 / horizon) / scipy.stats.norm.ppf(0.95)
    assert blocks.widening == pytest.approx(exact * few, rel=0.01)
    mixed = keyed(list(range(1000)), horizon).sample(frac=1, random_state=1)
    assert blocks_of(mixed, "1h").length == length
    apart = keyed(list(range(0, 24_000, 24)), 24)
    assert blocks_of(apart, "1h").length == 10.0, "labels that do not overlap"


@pytest.mark.parametrize(("rows", "horizon"), [(2000, 24), (1000, 6), (500, 24), (400, 1)])
def test_the_widened_deviation_is_that_of_overlapping_sums(rows: int, horizon: int) -> None:
    length = block_length(rows, horizon)
    blocks = Blocks(np.arange(rows), rows, length, widening(rows, horizon, length), draws=400)
    rng = np.random.default_rng(11)
    shown = []
    for _ in range(volume(60)):
        running = np.cumsum(rng.standard_normal(rows + horizon))
        sums = running[horizon:] - running[:-horizon]
        found = drawn_sums(sums[:, None], blocks, rng)[:, 0] / rows
        shown.append(deviation(found, blocks.widening) ** 2)
    distance = np.arange(1, horizon)
    overlap = horizon + 2 * ((horizon - distance) * (1 - distance / rows)).sum()
    assert np.mean(shown) == pytest.approx(overlap / rows, rel=0.15)


def test_few_moments_widen_at_most_fivefold() -> None:
    for moments, horizon in ((1, 1), (2, 2), (5, 24), (30, 24), (30, 300)):
        length = block_length(moments, horizon)
        assert 1 <= length <= max(moments / 4, 1)
        assert 1 <= widening(moments, horizon, length) <= WIDEST
    assert widening(1, 1, 1.0) == WIDEST


def test_an_interval_lies_around_the_figure() -> None:
    draws = np.random.default_rng(4).normal(3.0, 2.0, 200_000)
    low, high = interval(np.append(1.0, draws), 1.5)
    assert (low, high) == pytest.approx((1 - 1.645 * 3, 1 + 1.645 * 3), abs=0.05)
    assert deviation(np.append(1.0, draws), 1.5) == pytest.approx(3.0, rel=0.01)
    assert interval(np.append(1.0, np.full(9, 1.0)), 2.0) == (1.0, 1.0)


def test_draws_that_cannot_be_told_are_left_out() -> None:
    told = interval(np.array([0.5, 0.4, np.nan, 0.6]), 1.0)
    assert told == pytest.approx(interval(np.array([0.5, 0.4, 0.6]), 1.0))
    for untold in ([np.nan, 0.4], [0.5, np.nan], [0.5]):
        assert np.isnan(interval(np.array(untold), 1.0)).all()


@pytest.mark.parametrize(
    ("case", "ranks"), [(Case(2000, 24), False), (Case(2000, 6), True), (Case(600, 24), False)]
)
def test_intervals_hold_the_truth(case: Case, ranks: bool) -> None:
    series = volume(50)
    shares = {name: share for name, share, _ in held(case, series, ranks)}
    low, high = (0.87, 0.93) if series >= 1000 else (0.78, 1.0)
    assert all(low <= share <= high for share in shares.values()), shares


def test_what_is_simulated_overlaps() -> None:
    rows = simulated(Case(20_000, 24), np.random.default_rng(1))
    label = rows["label"].to_numpy("float64")
    assert np.corrcoef(label[:-12], label[12:])[0, 1] > 0.3
    assert abs(np.corrcoef(label[:-24], label[24:])[0, 1]) < 0.1
