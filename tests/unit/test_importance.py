"""Permutation importance finds what a model looks at, at any step of its window."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation.metrics import log_loss
from pipeline.fitting.importance import MOST_ROWS, loss_increases, ranked, sampled_rows
from pipeline.frames import key_by_market
from pipeline.models.base import FeatureTable, Report, Samples
from pipeline.models.windows import gather, require_whole, step_of
from pipeline.splits.fold import Fold

LOOKBACK = 5
COLUMNS = ("quiet", "older", "newest", "constant")


@dataclass
class Looking:
    """Says the class that one column tells some steps before the newest; remembers what it saw."""

    column: int
    back: int
    columns: tuple[str, ...] = COLUMNS
    seen: list[FeatureTable] = field(default_factory=list)

    def predict_proba(self, table: FeatureTable, rows: np.ndarray) -> np.ndarray:
        require_whole(table, rows, LOOKBACK, 3_600_000)
        self.seen.append(table)
        high = table.values[rows - self.back, self.column] > 0
        return np.column_stack([np.where(high, 0.1, 0.9), np.where(high, 0.9, 0.1)])

    def save(self) -> dict[str, bytes]:
        return {}

    def report(self) -> Report:
        return {}


def samples(rows: int = 400, markets: tuple[str, ...] = ("SIM-BTC",), back: int = 3) -> Samples:
    """The class of a row is the sign of `older`, `back` steps before it."""
    rng = np.random.default_rng(5)
    time = pd.date_range("2025-01-01", periods=rows, freq="h", tz="UTC", name="time", unit="ms")
    frames = [
        key_by_market(pd.DataFrame(rng.normal(size=(rows, 4)), index=time, columns=COLUMNS), name)
        for name in markets
    ]
    table = FeatureTable.from_frame(pd.concat(frames).assign(constant=1.0))
    own = np.arange(len(table.values)).reshape(len(markets), rows)[:, 10:].ravel()
    return Samples(
        table=table,
        rows=own,
        label=(table.values[own - back, 1] > 0).astype("int8"),
        weight=np.full(len(own), 1 / 24),
        ends_at=pd.DatetimeIndex(table.index.get_level_values("time")[own] + pd.Timedelta("3h")),
        classes=("down", "up"),
    )


def rng(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("back", range(LOOKBACK))
def test_an_older_step_of_the_window_is_seen(back: int) -> None:
    given = samples(back=back)
    model = Looking(column=1, back=back)
    first, *others = ranked(COLUMNS, loss_increases(model, given, LOOKBACK, rng()), 60)
    assert first.column == "older"
    assert first.increase == pytest.approx(np.log(9) / 2, rel=0.2)
    assert first.increase > 3 * first.error > 0
    assert all(each.increase == each.error == 0 for each in others)


def test_a_column_that_misleads_has_a_negative_importance() -> None:
    given = samples()
    wrong = Samples(
        given.table, given.rows, 1 - given.label, given.weight, given.ends_at, given.classes
    )
    last = ranked(COLUMNS, loss_increases(Looking(1, 3), wrong, LOOKBACK, rng()), 60)[-1]
    assert (last.column, last.increase < 0) == ("older", True)


def test_only_one_column_moves_and_its_windows_stay_whole() -> None:
    given = samples(60, ("SIM-BTC", "SIM-ETH"))
    model = Looking(1, 3)
    loss_increases(model, given, LOOKBACK, rng())
    own = gather(given.table.values, given.rows, LOOKBACK)
    plain, *changed = [table.values.reshape(own.shape) for table in model.seen]
    np.testing.assert_array_equal(plain, own)
    assert len(changed) == len(COLUMNS)
    for column, values in enumerate(changed):
        rest = [other for other in range(len(COLUMNS)) if other != column]
        np.testing.assert_array_equal(values[:, :, rest], own[:, :, rest])
        moved = sorted(map(tuple, values[:, :, column]))
        assert moved == sorted(map(tuple, own[:, :, column])), "windows of the fold, all of them"
    assert [(values != own).any() for values in changed] == [True, True, True, False]


def test_every_row_keeps_its_own_moments() -> None:
    given = samples(60, ("SIM-BTC", "SIM-ETH"))
    model = Looking(1, 3)
    loss_increases(model, given, LOOKBACK, rng())
    for table in model.seen:
        assert table.columns == COLUMNS
        assert table.index[LOOKBACK - 1 :: LOOKBACK].equals(given.index)
        assert step_of(table) == 3_600_000


def test_the_loss_that_is_compared_with_is_the_rows_own() -> None:
    given = samples()
    weak = Looking(0, 0)
    whole = loss_increases(weak, given, LOOKBACK, rng())
    assert whole.shape == (len(given.rows), len(COLUMNS))
    own = log_loss(weak.predict_proba(given.table, given.rows), given.label.astype("int64"))
    np.testing.assert_array_equal(whole[:, 3], 0)
    exchanged = whole[:, 0] + own
    assert set(exchanged.round(6)) == {round(-np.log(0.9), 6), round(-np.log(0.1), 6)}


def test_the_generator_alone_says_what_is_exchanged() -> None:
    given = samples()
    found = [loss_increases(Looking(1, 3), given, LOOKBACK, rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_a_fold_without_a_sampled_row_is_asked_nothing() -> None:
    given, model = samples(), Looking(1, 3)
    found = loss_increases(model, given.take(np.arange(0)), LOOKBACK, rng())
    assert found.shape == (0, len(COLUMNS))
    assert model.seen == []


@given(
    sizes=st.lists(st.integers(1, 900), min_size=1, max_size=6), most=st.integers(1, 2 * MOST_ROWS)
)
def test_sampled_rows_are_few_even_and_of_their_own_fold(sizes: list[int], most: int) -> None:
    ends = np.cumsum(sizes)
    empty = np.empty(0, np.intp)
    folds = [Fold(empty, np.arange(end - size, end)) for size, end in zip(sizes, ends, strict=True)]
    found = sampled_rows(folds, most)
    assert len(found) == len(folds)
    for rows, fold in zip(found, folds, strict=True):
        assert np.isin(rows, fold.test).all()
    every = np.concatenate(found)
    assert len(every) == min(most, ends[-1])
    assert np.unique(every).size == len(every)
    stride = -(-ends[-1] // len(every))
    assert ends[-1] - stride <= every[-1]
    assert set(np.diff(every)) <= {stride - 1, stride}


def test_at_most_512_rows_are_asked() -> None:
    empty = np.empty(0, np.intp)
    folds = [Fold(empty, np.arange(2000)), Fold(empty, np.arange(2000, 5000))]
    assert sum(map(len, sampled_rows(folds))) == MOST_ROWS == 512


def test_the_error_is_taken_over_independent_rows() -> None:
    increases = np.random.default_rng(1).normal(0.1, 0.5, (400, 1))
    (over_all,), (over_few,), (over_none,) = (ranked(("a",), increases, n) for n in (400, 16, 0.3))
    assert over_all.increase == over_few.increase == pytest.approx(increases.mean())
    assert over_all.error == pytest.approx(increases.std() / 20)
    assert over_few.error == pytest.approx(5 * over_all.error)
    assert over_none.error == pytest.approx(increases.std())


def test_equal_columns_stay_in_their_order() -> None:
    increases = np.array([[0.0, 0.3, 0.0, 0.3]])
    assert [each.column for each in ranked("abcd", increases, 1)] == ["b", "d", "a", "c"]
