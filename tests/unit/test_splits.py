from __future__ import annotations

from collections.abc import Callable
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, DataError
from pipeline.models.network_training import cut_in_time
from pipeline.splits.combinatorial import Combinatorial
from pipeline.splits.fold import Fold, blocks_of, check_folds, purge
from pipeline.splits.holdout import Holdout
from pipeline.splits.purged_kfold import PurgedKFold
from pipeline.splits.walk_forward import WalkForward
from tests.contract.test_conf import samples
from tests.oracles import splits as oracle
from tests.spine import planned

START, HOUR = pd.Timestamp("2025-01-01T00:00Z"), pd.Timedelta(hours=1)
Times = tuple[pd.DatetimeIndex, pd.DatetimeIndex]
Hours = tuple[list[int], list[int]]


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


@st.composite
def trades(draw: st.DrawFn) -> Hours:
    """Opening and ending hours of the rows of trades that overlap, in no order."""
    entries = draw(st.lists(st.integers(0, 120), min_size=4, max_size=20))
    rows = [
        (entry + hour, entry + length)
        for entry in [0, 30, 60, 90, *entries]
        for length in [draw(st.integers(1, 15))]
        for hour in range(length)
    ]
    shuffled = draw(st.permutations(rows))
    return [opened for opened, _ in shuffled], [ended for _, ended in shuffled]


def pairs_of(folds: list[Fold]) -> list[oracle.Pair]:
    return [(fold.train.tolist(), fold.test.tolist()) for fold in folds]


@given(trades(), st.integers(2, 5), st.integers(0, 30))
def test_folds_around_a_test_are_those_of_a_plain_loop(
    hourly: Hours, count: int, embargo: int
) -> None:
    split = PurgedKFold(fold_count=count, embargo_hours=embargo)
    folds = split.folds(*map(hours, hourly))
    assert pairs_of(folds) == oracle.folds_around(*hourly, count, 1, embargo)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(hourly[0])))


@given(trades(), st.sampled_from([(3, 2), (5, 2), (5, 3), (4, 3)]), st.integers(0, 30))
def test_combinations_are_those_of_a_plain_loop(
    hourly: Hours, sizes: tuple[int, int], embargo: int
) -> None:
    count, tested = sizes
    split = Combinatorial(block_count=count, tested_blocks=tested, embargo_hours=embargo)
    folds = split.folds(*map(hours, hourly))
    assert pairs_of(folds) == oracle.folds_around(*hourly, count, tested, embargo)
    times = np.bincount(np.concatenate([fold.test for fold in folds]))
    assert set(times) == {comb(count - 1, tested - 1)}
    for fold in folds:
        every = np.concatenate([fold.train, fold.test, fold.purged])
        assert sorted(every) == list(range(len(hourly[0])))


@given(trades(), st.integers(1, 5), st.integers(1, 40), st.integers(1, 100))
def test_rolling_weeks_are_those_of_a_plain_loop(
    hourly: Hours, count: int, every: int, train: int
) -> None:
    split = WalkForward(
        fold_count=count, every_days=every / 24, window="rolling", train_days=train / 24
    )
    folds = split.folds(*map(hours, hourly))
    assert pairs_of(folds) == oracle.walk_by_days(*hourly, count, every, train)


def test_rows_around_a_test_wait_for_labels_and_the_embargo() -> None:
    time, ends_at = regular(1000)
    folds = PurgedKFold(fold_count=5, embargo_hours=12).folds(time, ends_at)
    check_folds(folds, time, ends_at)
    assert folds[1].test.tolist() == list(range(200, 400))
    assert folds[1].train.tolist() == [*range(176), *range(436, 1000)]
    assert folds[1].purged.tolist() == [*range(176, 200), *range(400, 436)]
    assert folds[4].train.tolist() == list(range(776)), "nothing follows the last test"


def test_blocks_that_meet_are_one_and_a_row_between_two_is_trained_on() -> None:
    time, ends_at = regular(600)
    split = Combinatorial(block_count=6, tested_blocks=2, embargo_hours=10)
    folds = split.folds(time, ends_at)
    check_folds(folds, time, ends_at)
    assert len(folds) == 15
    together, separate = folds[0], folds[1]
    assert [block.tolist() for block in blocks_of(together.test, time)] == [list(range(200))]
    ends = [(block[0], block[-1]) for block in blocks_of(separate.test, time)]
    assert ends == [(0, 99), (200, 299)]
    assert separate.train.tolist() == [*range(134, 176), *range(334, 600)]


@pytest.mark.parametrize("row", [123, 176, 223, 323])
def test_a_row_planted_beside_any_block_is_found(row: int) -> None:
    time, ends_at = regular(600)
    test = rows_of(*range(50, 100), *range(200, 300))
    fine = purge(rows_of(*range(50), *range(100, 200), *range(300, 600)), test, time, ends_at)
    assert {124, 175, 324} < set(fine.train)
    check_folds([fine], time, ends_at)
    with pytest.raises(DataError, match="reaches into the test window"):
        check_folds([Fold(np.append(fine.train, row), test)], time, ends_at)


def test_the_embargo_is_the_lookback_in_hours_unless_it_is_given() -> None:
    def embargo(*words: str) -> object:
        plan = planned("split=purged_kfold", "exchange=simulated", *words)
        return plan.stages["train"]["split"]["embargo_hours"]

    assert embargo() == 24.0
    assert embargo("recipe.lookback=36") == 36.0
    assert embargo("recipe.lookback=36", "split.embargo_hours=0") == 0


def test_no_embargo_is_no_default() -> None:
    with pytest.raises(ConfigError, match=r"'embargo_hours' is not given.*set split"):
        PurgedKFold(fold_count=5).folds(*regular(100))


def test_a_week_is_a_week_and_a_rolling_window_forgets() -> None:
    time, ends_at = regular(1000)
    split = WalkForward(fold_count=2, every_days=7, window="rolling", train_days=10)
    first, second = split.folds(time, ends_at)
    assert first.test.tolist() == list(range(1000 - 336, 1000 - 168))
    assert second.test.tolist() == list(range(1000 - 168, 1000))
    assert second.train.tolist() == list(range(832 - 240, 832 - 24))
    (whole, _) = WalkForward(fold_count=2, every_days=7).folds(time, ends_at)
    assert whole.train.tolist() == list(range(664 - 24))


@pytest.mark.parametrize(
    ("given_keys", "told"),
    [
        ({"fold_count": 3}, "as test_share or as every_days"),
        ({"fold_count": 3, "test_share": 0.1, "every_days": 7}, "as test_share or as every_days"),
        ({"fold_count": 3, "test_share": 0.1, "window": "rolling"}, "length of a rolling window"),
        ({"fold_count": 3, "test_share": 0.1, "train_days": 60}, "length of a rolling window"),
        ({"fold_count": 3, "test_share": 0.1, "window": "slid"}, "'window' is 'slid'"),
    ],
)
def test_a_walk_that_contradicts_itself_is_refused(
    given_keys: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        WalkForward.parse(given_keys, "split=walk_forward")


@pytest.mark.parametrize(
    ("blocks", "tested", "told"),
    [(6, 6, "must leave a block"), (20, 10, "184756 fits; at most 100"), (6, 1, "tested_blocks")],
)
def test_combinations_that_cannot_be_fitted_are_refused(
    blocks: int, tested: int, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        Combinatorial.parse({"block_count": blocks, "tested_blocks": tested}, "split")


def test_a_cut_in_time_inside_a_fit_spans_the_hole_that_a_test_left() -> None:
    rows = samples(3)
    fold = PurgedKFold(fold_count=5, embargo_hours=24).folds(rows.time, rows.ends_at)[2]
    assert len(blocks_of(fold.train, rows.time)) == 2
    older, newer = cut_in_time(rows.take(fold.train), 0.7, "to try")
    assert older.time.min() < rows.time[fold.test].min() < older.time.max()
    assert older.ends_at.max() <= newer.time.min()
