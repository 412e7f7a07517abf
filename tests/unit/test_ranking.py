"""Figures that rest on order, against scikit-learn and SciPy, with ties and on rows drawn again."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from pipeline.evaluation.bootstrap import Blocks, draw_counts
from pipeline.evaluation.ranking import Ranked, rank_correlation, ranked

ROWS = 240


def rows_of(ties: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, Blocks]:
    rng = np.random.default_rng(seed)
    outcome = rng.integers(0, 3, ROWS)
    score = np.round(rng.random(ROWS) + 0.2 * outcome, ties)
    moment = np.sort(rng.integers(0, 80, ROWS))
    moment = np.unique(moment, return_inverse=True)[1]
    return score, outcome, Blocks(moment, int(moment.max()) + 1, 6.0, 1.0, draws=40)


def weights(blocks: Blocks, seed: int) -> list[np.ndarray]:
    """How often each row stands in the sample itself and in each draw."""
    rng, counts = np.random.default_rng(seed), np.ones(blocks.moments, "int64")
    found = [counts[blocks.moment]]
    for _ in range(blocks.draws):
        draw_counts(blocks.length, rng, counts)
        found.append(counts[blocks.moment])
    return found


@pytest.mark.parametrize("ties", [9, 1, 0])
def test_areas_agree_with_scikit_learn_in_every_draw(ties: int) -> None:
    score, outcome, blocks = rows_of(ties)
    found = ranked(score, outcome == 2, 0.3, blocks, seed=9)
    for k, often in enumerate(weights(blocks, 9)):
        rows = (outcome == 2, score)
        area = sklearn.metrics.roc_auc_score(*rows, sample_weight=often)
        precision = sklearn.metrics.average_precision_score(*rows, sample_weight=often)
        assert (found.auc[k], found.average_precision[k]) == pytest.approx((area, precision))


@pytest.mark.parametrize("ties", [9, 1, 0])
def test_rank_correlation_agrees_with_scipy_in_every_draw(ties: int) -> None:
    score, outcome, blocks = rows_of(ties)
    found = rank_correlation(score, outcome, blocks, seed=9)
    for k, often in enumerate(weights(blocks, 9)):
        repeated = (np.repeat(values, often) for values in (score, outcome))
        assert found[k] == pytest.approx(scipy.stats.spearmanr(*repeated)[0])


def test_the_best_k_agree_with_a_plain_loop_in_every_draw() -> None:
    score, outcome, blocks = rows_of(9)
    found = ranked(score, outcome == 1, 0.25, blocks, seed=4)
    for k, often in enumerate(weights(blocks, 4)):
        order = np.argsort(-np.repeat(score, often), kind="stable")
        happened = np.repeat(outcome == 1, often)[order]
        most = 0.25 * len(happened)
        whole = int(most)
        right = happened[:whole].sum() + (most - whole) * happened[whole]
        assert found.precision_at_k[k] == pytest.approx(right / most)
        assert found.recall_at_k[k] == pytest.approx(right / happened.sum())


def alone(score: list[float], happened: list[int], share: float) -> Ranked:
    rows = len(score)
    blocks = Blocks(np.arange(rows), rows, 1.0, 1.0, draws=0)
    return ranked(np.array(score), np.array(happened, bool), share, blocks, 0)


def test_ties_at_the_edge_of_k_share_what_they_find() -> None:
    found = alone([0.9, 0.5, 0.5, 0.5, 0.1], [1, 1, 0, 0, 0], 0.4)
    assert found.precision_at_k[0] == pytest.approx((1 + 1 / 3) / 2)
    assert found.recall_at_k[0] == pytest.approx((1 + 1 / 3) / 2)
    constant = alone([0.3] * 5, [1, 0, 0, 0, 1], 0.4)
    assert constant.precision_at_k[0] == pytest.approx(0.4), "the base rate"
    assert constant.auc[0] == 0.5


def test_k_of_everything_and_of_nothing() -> None:
    assert alone([0.9, 0.1], [0, 1], 1.0).recall_at_k[0] == 1
    assert np.isnan(alone([0.9, 0.1], [0, 1], 0.0).precision_at_k[0])


def test_what_never_or_always_happens_has_no_area() -> None:
    never, always = alone([0.9, 0.1], [0, 0], 0.5), alone([0.9, 0.1], [1, 1], 0.5)
    assert np.isnan([never.auc[0], never.average_precision[0], never.recall_at_k[0]]).all()
    assert never.precision_at_k[0] == 0
    assert np.isnan(always.auc[0])
    assert always.average_precision[0] == 1


def test_a_constant_score_has_no_rank_correlation() -> None:
    blocks = Blocks(np.arange(4), 4, 1.0, 1.0, draws=3)
    assert np.isnan(rank_correlation(np.ones(4), np.array([0, 1, 2, 1]), blocks, 0)).all()


def test_rounding_noise_makes_no_order() -> None:
    noisy = [0.1 + 0.2, 0.3, 0.3 - 1e-16, 0.3]
    assert alone(noisy, [0, 1, 0, 1], 0.5).auc[0] == 0.5
