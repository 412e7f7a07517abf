from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, DataError
from pipeline.splits.fold import Fold, check_folds, purge
from pipeline.splits.holdout import Holdout
from pipeline.splits.walk_forward import WalkForward

START, HOUR = pd.Timestamp("2025-01-01T00:00Z"), pd.Timedelta(hours=1)
Times = tuple[pd.DatetimeIndex, pd.DatetimeIndex]


def hours(values: object) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(START + pd.to_timedelta(np.asarray(values), unit="h"))


def regular(rows: int, horizon: int = 24) -> Times:
    opened = np.arange(rows)
    return hours(opened), hours(opened + horizon + 1)


def rows_of(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.intp)


@st.composite
def labelled_times(draw: st.DrawFn) -> Times:
    """Up to three markets, one after the other, with holes and horizons of any length."""
    opened: list[int] = []
    for _ in range(draw(st.integers(1, 3))):
        opened += sorted(draw(st.sets(st.integers(0, 80), min_size=1, max_size=40)))
    lengths = draw(st.lists(st.integers(1, 30), min_size=len(opened), max_size=len(opened)))
    return hours(opened), hours(np.array(opened) + lengths)


@given(labelled_times(), st.floats(0.05, 0.95))
def test_no_training_label_touches_the_test(times: Times, share: float) -> None:
    time, ends_at = times
    (fold,) = Holdout(test_share=share).folds(time, ends_at)
    first, last = time[fold.test].min(), ends_at[fold.test].max()
    for row in fold.train:
        assert ends_at[row] <= first or time[row] >= last
    if len(fold.train):
        check_folds([fold], time, ends_at)


@given(labelled_times(), st.floats(0.05, 0.95))
def test_only_what_touches_is_dropped(times: Times, share: float) -> None:
    time, ends_at = times
    (fold,) = Holdout(test_share=share).folds(time, ends_at)
    first = time[fold.test].min()
    dropped = set(range(len(time))) - set(fold.train) - set(fold.test)
    assert all(time[row] < first < ends_at[row] for row in dropped)
    assert fold.test.tolist() == np.flatnonzero(time >= first).tolist()
    assert abs(time[fold.test].nunique() - share * time.nunique()) <= 1


def test_a_day_of_rows_is_purged_before_a_regular_test() -> None:
    time, ends_at = regular(1000)
    (fold,) = Holdout(test_share=0.2).folds(time, ends_at)
    assert fold.test.tolist() == list(range(800, 1000))
    assert fold.train.tolist() == list(range(776))


def test_a_label_that_ends_when_the_test_opens_is_kept() -> None:
    time, ends_at = regular(20, horizon=0)
    fold = purge(rows_of(*range(10)), rows_of(*range(10, 20)), time, ends_at)
    assert fold.train.tolist() == list(range(10))


def test_a_moment_is_never_on_both_sides() -> None:
    opened = np.repeat(np.arange(10), 2)
    (fold,) = Holdout(test_share=0.5).folds(hours(opened), hours(opened + 1))
    assert set(opened[fold.train]) == set(range(5))
    assert set(opened[fold.test]) == set(range(5, 10))


def test_no_rows_give_a_fold_that_is_refused() -> None:
    time, ends_at = regular(0)
    folds = Holdout(test_share=0.2).folds(time, ends_at)
    with pytest.raises(DataError, match=r"too few rows.*test rows of 0\..*history_days; a later"):
        check_folds(folds, time, ends_at)


def test_a_history_inside_one_horizon_is_refused() -> None:
    time, ends_at = regular(24)
    with pytest.raises(DataError, match="0 training and 5 test rows"):
        check_folds(Holdout(test_share=0.2).folds(time, ends_at), time, ends_at)


def _reaching_in(fold: Fold) -> Fold:
    return Fold(train=np.append(fold.train, 776), test=fold.test)


def _row_of_the_test(fold: Fold) -> Fold:
    return Fold(train=np.append(fold.train, 999), test=fold.test)


@pytest.mark.parametrize("planted", [_reaching_in, _row_of_the_test])
def test_a_planted_row_is_found(planted: Callable[[Fold], Fold]) -> None:
    time, ends_at = regular(1000)
    (good,) = Holdout(test_share=0.2).folds(time, ends_at)
    bad = planted(good)
    with pytest.raises(DataError, match="fold 1, row ") as told:
        check_folds([good, bad], time, ends_at)
    assert time[bad.train[-1]].isoformat() in str(told.value)


def test_training_rows_after_the_test_wait_until_its_labels_have_ended() -> None:
    time, ends_at = regular(300)
    before, test = rows_of(*range(76)), rows_of(*range(100, 200))
    check_folds([Fold(np.append(before, 224), test)], time, ends_at)
    with pytest.raises(DataError, match="reaches into the test window"):
        check_folds([Fold(np.append(before, 223), test)], time, ends_at)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_senseless_share_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="test_share"):
        Holdout.parse({"test_share": share}, "split")


@given(labelled_times(), st.integers(1, 4), st.floats(0.02, 0.24))
def test_no_walked_training_label_touches_its_test(times: Times, count: int, share: float) -> None:
    time, ends_at = times
    folds = WalkForward(fold_count=count, test_share=share).folds(time, ends_at)
    assert len(folds) == count
    for fold in folds:
        for row in fold.train if len(fold.test) else []:
            assert ends_at[row] <= time[fold.test].min()


def test_walked_tests_tile_the_newest_rows_and_training_expands() -> None:
    time, ends_at = regular(1000)
    first, second, third = WalkForward(fold_count=3, test_share=0.15).folds(time, ends_at)
    assert [fold.test.tolist() for fold in (first, second, third)] == [
        list(range(550, 700)),
        list(range(700, 850)),
        list(range(850, 1000)),
    ]
    assert [len(fold.train) for fold in (first, second, third)] == [526, 676, 826]
    check_folds([first, second, third], time, ends_at)


def test_walking_must_leave_rows_to_train_on() -> None:
    with pytest.raises(ConfigError, match="leaves rows to train on"):
        WalkForward.parse({"fold_count": 4, "test_share": 0.25}, "split=walk_forward")


def test_walking_over_too_few_rows_is_refused() -> None:
    time, ends_at = regular(5, horizon=0)
    with pytest.raises(DataError, match="too few rows"):
        check_folds(WalkForward(fold_count=3, test_share=0.1).folds(time, ends_at), time, ends_at)
