"""Tests of luck: against scipy, plain loops and the figures of the papers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from pipeline.evaluation.statistics import (
    Returns,
    best_sharpe_of_luck,
    deflated_sharpe,
    diebold_mariano,
    mcnemar,
    probabilistic_sharpe,
)
from tests.volume import volume

DAYS = 250


def test_the_moments_are_those_of_scipy() -> None:
    values = np.random.default_rng(1).standard_t(4, 500) * 0.01 + 0.001
    found = Returns.of(values)
    assert found.sharpe == pytest.approx(values.mean() / values.std())
    assert found.skewness == pytest.approx(scipy.stats.skew(values))
    assert found.kurtosis == pytest.approx(scipy.stats.kurtosis(values, fisher=False))
    assert found.rows == 500


@pytest.mark.parametrize("values", [[], [0.1], [0.0, 0.0], [0.01] * 30])
def test_what_never_changes_has_no_sharpe_ratio(values: list[float]) -> None:
    found = Returns.of(np.array(values))
    assert math.isnan(found.sharpe)
    assert math.isnan(probabilistic_sharpe(found))
    assert math.isnan(deflated_sharpe(found, 10))


@pytest.mark.parametrize(("trials", "expected"), [(46, 0.9505), (100, 0.9004)])
def test_deflated_sharpe_is_that_of_the_papers_example(trials: int, expected: float) -> None:
    found = Returns(2.5 / math.sqrt(DAYS), 1250, skewness=-3.0, kurtosis=10.0)
    deviation = math.sqrt(0.5 / DAYS)
    assert deflated_sharpe(found, trials, deviation) == pytest.approx(expected, abs=2e-4)
    assert best_sharpe_of_luck(100, deviation) == pytest.approx(0.1132, abs=1e-4)


def test_more_trials_deflate_more_and_one_does_not() -> None:
    found = Returns.of(np.random.default_rng(2).normal(0.001, 0.01, 400))
    deflated = [deflated_sharpe(found, trials) for trials in (1, 2, 10, 100, 1000)]
    assert deflated[0] == probabilistic_sharpe(found)
    assert sorted(deflated, reverse=True) == deflated
    assert deflated[-1] < deflated[0] / 2


def test_the_best_of_luck_is_deflated_to_what_luck_gives() -> None:
    rng, trials = np.random.default_rng(3), 50
    best = []
    for _ in range(volume(40)):
        tried = [Returns.of(column) for column in rng.standard_normal((trials, 250))]
        best.append(max(tried, key=lambda each: each.sharpe))
    assert np.mean([each.sharpe for each in best]) == pytest.approx(
        best_sharpe_of_luck(trials, 1 / math.sqrt(249)), rel=0.06
    )
    assert np.mean([probabilistic_sharpe(each) > 0.95 for each in best]) > 0.8
    assert np.mean([deflated_sharpe(each, trials) > 0.95 for each in best]) < 0.15


def test_one_step_ahead_is_students_test() -> None:
    for seed in range(20):
        values = np.random.default_rng(seed).normal(0.1, 1.0, 40)
        expected = scipy.stats.ttest_1samp(values, 0.0).pvalue
        assert diebold_mariano(values, 1) == pytest.approx(expected, rel=1e-9)
        assert diebold_mariano(-values, 1) == diebold_mariano(values, 1)


@pytest.mark.parametrize("horizon", [2, 6, 24])
def test_several_steps_ahead_are_a_plain_loop(horizon: int) -> None:
    rng = np.random.default_rng(horizon)
    values = np.convolve(rng.standard_normal(400), np.ones(horizon) / horizon, "valid") + 0.05
    rows, mean = len(values), values.mean()
    variance = 0.0
    for lag in range(-horizon + 1, horizon):
        pairs = [(values[t] - mean) * (values[t - abs(lag)] - mean) for t in range(abs(lag), rows)]
        variance += sum(pairs) / rows
    corrected = (rows + 1 - 2 * horizon + horizon * (horizon - 1) / rows) / rows
    statistic = mean / math.sqrt(variance / rows) * math.sqrt(corrected)
    expected = 2 * scipy.stats.t.sf(abs(statistic), rows - 1)
    assert diebold_mariano(values, horizon) == pytest.approx(expected)


def test_a_variance_below_zero_is_weighed_again() -> None:
    values = np.tile([1.0, -1.0], 20) + 0.01
    assert 0 < diebold_mariano(values, 2) <= 1
    assert diebold_mariano(np.full(10, 0.1), 1) == pytest.approx(0.0, abs=1e-9)
    assert diebold_mariano(np.zeros(10), 3) == 1.0
    assert diebold_mariano(np.ones(1), 3) == 1.0, "one row cannot tell"


def test_mcnemar_is_an_exact_binomial() -> None:
    for first, second in ((86, 150), (0, 7), (5, 5), (40, 61)):
        expected = scipy.stats.binomtest(first, first + second, 0.5).pvalue
        assert mcnemar(first, second) == pytest.approx(expected)
        assert mcnemar(second, first) == mcnemar(first, second)
    assert mcnemar(86, 150) == pytest.approx(3.716e-5, rel=1e-3), "approval of a prime minister"
