"""The refit beside the last fold's model: the same rows, each with its own calibrator."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import spearmanr

from pipeline.fitting.certification import MOST_ROWS, certify, last_fold, unlabelled_rows
from pipeline.fitting.fold_fits import HeadTask
from pipeline.fitting.training import checked_folds, train_head, train_heads
from pipeline.models.calibration import Sigmoid
from pipeline.models.majority import Majority
from registry.tables import refit_line
from tests.unit.test_training import CLASSES, SPLIT, TREES, Recorder, TwoFolds, joined_rows

THREE = ("sell", "hold", "buy")


def drawn(rows: int, seed: int, classes: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), rows)


def test_the_correlation_is_that_of_scipy() -> None:
    one, other = drawn(300, 1), drawn(300, 2)
    other = (one + other) / 2
    found = certify(THREE, one, other, 40)
    expected = spearmanr(one[:, 2] - one[:, 0], other[:, 2] - other[:, 0]).statistic
    assert found.rank_correlation == pytest.approx(expected, abs=1e-6)
    late = spearmanr(*(each[-40:, 2] - each[-40:, 0] for each in (one, other))).statistic
    assert found.unlabelled_rank_correlation == pytest.approx(late, abs=1e-6)
    assert (found.rows, found.unlabelled_rows) == (300, 40)
    assert found.signal_rate == pytest.approx((one.argmax(axis=1) != 1).mean(), abs=1e-6)
    assert found.fold_signal_rate == pytest.approx((other.argmax(axis=1) != 1).mean(), abs=1e-6)


def test_a_refit_that_took_buy_for_sell_shows() -> None:
    said = drawn(200, 3)
    assert certify(THREE, said[:, ::-1], said, 0).rank_correlation == pytest.approx(-1)
    assert certify(THREE, said, said, 0).rank_correlation == 1
    two = said[:, :2] / said[:, :2].sum(axis=1, keepdims=True)
    assert certify(("no", "enter"), two[:, ::-1], two, 0).rank_correlation == pytest.approx(-1)


def test_who_says_the_same_of_every_row_has_no_order() -> None:
    same = np.tile([0.2, 0.5, 0.3], (50, 1))
    found = certify(THREE, same, drawn(50, 4), 2)
    assert (found.rank_correlation, found.unlabelled_rank_correlation) == (None, None)
    assert found.signal_rate == 0
    trained = train_head(joined_rows(), Majority(), SPLIT, seed=7).certification
    assert trained is not None
    assert trained.rank_correlation is None


def test_unlabelled_rows_are_the_newest_whose_label_nobody_knows() -> None:
    rows = joined_rows()
    found = unlabelled_rows(rows, 1)
    assert found.tolist() == list(range(len(rows.table.index) - 24, len(rows.table.index)))
    assert not {*found.tolist()} & {*rows.rows.tolist()}
    assert unlabelled_rows(rows, 1, most=5).tolist() == found[-5:].tolist()
    assert len(unlabelled_rows(rows.take(np.arange(100)), 1)) == len(rows.rows) - 100 + 24


def test_both_are_asked_about_the_last_test_and_what_came_after() -> None:
    rows, recorder = joined_rows(), Recorder()
    trained = train_head(rows, recorder, TwoFolds(), seed=7)
    (last, after), (refit, asked) = recorder.asked_of(rows.table)[-2:]
    assert (last, refit) == (1, 2)
    assert after.tolist() == unlabelled_rows(rows, 1).tolist()
    assert asked.tolist() == [*rows.rows[trained.folds[1].test], *after]
    assert not {*asked.tolist()} & {*recorder.fits[1].rows.tolist()}, "the fold knew none of them"
    assert trained.certification is not None
    assert trained.certification.rows == len(asked) <= MOST_ROWS
    assert trained.certification.unlabelled_rows == 24


def test_the_last_fold_is_the_one_whose_test_is_newest() -> None:
    rows = joined_rows()
    older, newer = checked_folds(rows, TwoFolds())
    assert last_fold([older, newer], rows.time) == 1
    assert last_fold([newer, older], rows.time) == 0
    assert last_fold([newer, newer], rows.time) == 1


def test_trees_agree_with_their_refit_and_workers_say_the_same() -> None:
    rows = joined_rows(1200)
    calibration = Sigmoid(least_effective_rows=5)
    task = HeadTask(rows, TREES, checked_folds(rows, TwoFolds()), 7, calibration)
    (found,) = train_heads({"direction": task}).heads.values()
    again = train_head(rows, TREES, TwoFolds(), 7, calibration)
    assert found.certification == again.certification
    plain = train_head(rows, TREES, TwoFolds(), 7).certification
    assert found.certification is not None
    assert plain is not None
    assert found.certification.rank_correlation != plain.rank_correlation, "each calibrated"
    assert plain.rank_correlation is not None
    assert 0.1 < plain.rank_correlation < 1
    assert CLASSES == THREE


def test_a_card_tells_it_in_one_line() -> None:
    told = asdict(certify(THREE, drawn(50, 4), drawn(50, 4), 2))
    assert refit_line(told).startswith(
        "rank correlation with the last fold 1 on 50 rows, - on the 2 unlabelled; signals "
    )
