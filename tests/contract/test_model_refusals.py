"""What every model of conf/model refuses, in words that name the column and the row."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.models.base import FeatureTable, Fitted, Samples
from tests.discovered import CLASSES, COLUMNS, MODELS, column_samples, small_model

BASELINES = {"majority"}  # look at no feature when they are fitted
every_model = pytest.mark.parametrize("name", MODELS)
every_learner = pytest.mark.parametrize("name", sorted({*MODELS} - BASELINES))
every_window = pytest.mark.parametrize(
    "name", [name for name in MODELS if small_model(name).lookback > 1]
)
NOT_FINITE = [np.nan, np.inf, -np.inf]
NONE = np.array([], dtype=np.intp)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def fitted_on(name: str, given: Samples) -> Fitted:
    return small_model(name).fit(given, rng())


def changed(given: Samples, **fields: Any) -> Samples:
    return dataclasses.replace(given, table=dataclasses.replace(given.table, **fields))


def with_value(given: Samples, row: int, column: str, value: float) -> Samples:
    values = given.table.values.copy()
    values[row, COLUMNS.index(column)] = value
    return changed(given, values=values)


@every_learner
@pytest.mark.parametrize("bad", NOT_FINITE)
@pytest.mark.parametrize(
    ("row", "column", "when"), [(7, "atr", "01-01 07:00"), (399, "rsi", "01-17 15:00")]
)
def test_what_is_not_finite_is_not_learnt_from(
    name: str, bad: float, row: int, column: str, when: str
) -> None:
    given = column_samples()
    broken = with_value(given, row, column, bad)
    with pytest.raises(DataError, match=rf"column {column}, row .*{when}.*Found: {bad}"):
        fitted_on(name, broken)


@every_model
@pytest.mark.parametrize("bad", NOT_FINITE)
def test_what_is_not_finite_is_not_predicted_from(name: str, bad: float) -> None:
    given = column_samples()
    fitted = fitted_on(name, given)
    broken = with_value(given, 8, "volume", bad)
    with pytest.raises(DataError, match=rf"column volume, row .*01-01 08:00.*Found: {bad}"):
        fitted.predict_proba(broken.table, np.array([9]))


@every_model
@pytest.mark.parametrize("order", [(1, 0, 2, 3), (0, 1, 3, 2), (3, 2, 1, 0)])
def test_turned_columns_are_named(name: str, order: tuple[int, ...]) -> None:
    given = column_samples()
    fitted = fitted_on(name, given)
    turned = changed(
        given,
        columns=tuple(COLUMNS[k] for k in order),
        values=np.ascontiguousarray(given.table.values[:, order]),
    )
    first = next(place for place, k in enumerate(order) if place != k)
    expected = f"{COLUMNS[order[first]]} at position {first}; expected: {COLUMNS[first]}"
    with pytest.raises(DataError, match=expected):
        fitted.predict_proba(turned.table, given.rows)


@every_model
def test_no_row_to_predict_is_an_answer_without_rows(name: str) -> None:
    given = column_samples()
    fitted = fitted_on(name, given)
    found = fitted.predict_proba(given.table, NONE)
    assert found.shape == (0, len(CLASSES))
    assert found.dtype == np.float64
    again = small_model(name).load(fitted.save())
    assert again.predict_proba(given.table, NONE).shape == (0, len(CLASSES))


@every_window
def test_a_window_with_a_hole_is_refused(name: str) -> None:
    given = column_samples()
    fitted, kept = fitted_on(name, given), np.delete(np.arange(400), 300)
    table = FeatureTable(COLUMNS, given.table.values[kept], given.table.index[kept])
    lookback = small_model(name).lookback
    expected = r"row .*01-13 1[2-9]:00.*a hole, candle 2025-01-13T12:00:00\+00:00 is missing"
    for row in (300, 300 + lookback - 2):
        with pytest.raises(DataError, match=expected):
            fitted.predict_proba(table, np.array([row]))
        with pytest.raises(DataError, match=expected):
            fitted_on(name, dataclasses.replace(given.take(np.arange(390)), table=table))
    assert len(fitted.predict_proba(table, np.array([299, 300 + lookback - 1]))) == 2


@every_model
@pytest.mark.parametrize("shape", ["narrow", "flat", "short"])
def test_values_of_another_shape_are_refused(name: str, shape: str) -> None:
    given = column_samples()
    fitted, values = fitted_on(name, given), given.table.values
    others = {"narrow": values[:, :3], "flat": values[:, 0], "short": values[:100]}
    broken = changed(given, values=np.ascontiguousarray(others[shape]))
    expected = r"another shape .*Found: \(\d+,.*expected: \(400, 4\)"
    with pytest.raises(DataError, match=expected):
        fitted.predict_proba(broken.table, np.array([50]))
    if name not in BASELINES:
        with pytest.raises(DataError, match=expected):
            fitted_on(name, broken)


@every_model
def test_nothing_is_learnt_from_no_row(name: str) -> None:
    with pytest.raises(DataError, match=r"(too few rows|no row).*Found: 0"):
        fitted_on(name, column_samples().take(NONE))


@every_window
@pytest.mark.parametrize("rows", [0, 1, 2, 5, 20])
def test_too_few_rows_are_told(name: str, rows: int) -> None:
    few = column_samples().take(np.arange(rows))
    with pytest.raises(DataError, match=r"too few rows.*Found: \d+ older.*at least 10 of each"):
        fitted_on(name, few)
