from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.build import build
from pipeline.config import Node
from pipeline.errors import ConfigError, DataError
from pipeline.models.base import Samples
from pipeline.models.logistic import Logistic
from pipeline.models.stack import DECLARATION, Stack
from tests.discovered import column_samples

LOGISTIC: Node = {
    "_target_": "pipeline.models.logistic.Logistic",
    "penalty": 10.0,
    "max_iter": 200,
}
MAJORITY: Node = {"_target_": "pipeline.models.majority.Majority"}
NODE: Node = {
    "bases": {"line": LOGISTIC, "shares": MAJORITY},
    "meta": LOGISTIC,
    "split": {"fold_count": 2, "test_share": 0.25},
}


def stack(**changes: Any) -> Stack:
    return Stack.parse({**NODE, **changes}, "model=stack")


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[Samples]:
    """What every logistic regression is fitted on, in order."""
    seen: list[Samples] = []
    real = Logistic.fit

    def fit(self: Logistic, samples: Samples, chance: np.random.Generator) -> Any:
        seen.append(samples)
        return real(self, samples, chance)

    monkeypatch.setattr(Logistic, "fit", fit)
    return seen


def test_the_meta_model_learns_from_rows_that_no_base_learnt_from(watched: list[Samples]) -> None:
    given = column_samples()
    stack().fit(given, rng())
    first, second, whole, meta = watched
    tested = pd.DatetimeIndex(np.unique(meta.time))
    assert len(tested) == len(meta.rows) == 2 * int(len(given.rows) * 0.25)
    assert len(whole.rows) == len(given.rows)
    half = len(tested) // 2
    for train, test in ((first, tested[:half]), (second, tested[half:])):
        assert train.ends_at.max() <= test.min()
        assert train.time.max() < test.min()
    assert meta.table.columns == ("line_hold", "line_buy", "shares_hold", "shares_buy")


def test_what_the_meta_model_is_told_is_what_the_inner_fold_said(watched: list[Samples]) -> None:
    given = column_samples()
    stack().fit(given, rng())
    first, _, _, meta = watched
    base = Logistic(penalty=10.0, max_iter=200).fit(first, rng())
    rows = np.searchsorted(given.table.index.get_level_values("time"), meta.time)
    half = len(rows) // 2
    told = base.predict_proba(given.table, rows[:half])
    np.testing.assert_array_equal(meta.values[:half, :2], told[:, 1:])


def test_labels_of_a_tested_row_reach_no_base_that_told_it(watched: list[Samples]) -> None:
    given = column_samples()
    stack().fit(given, rng())
    before = watched[-1]
    other = given.label.copy()
    newest = given.rows >= np.quantile(given.rows, 0.75)
    other[newest] = (other[newest] + 1) % 3
    stack().fit(dataclasses.replace(given, label=other), rng())
    np.testing.assert_array_equal(watched[-1].values, before.values)


def test_named_features_stand_beside_the_bases(watched: list[Samples]) -> None:
    given = column_samples()
    fitted = stack(features=["atr"]).fit(given, rng())
    assert watched[-1].table.columns[-1] == "feature_atr"
    values = given.table.values.copy()
    values[:, 2] += 1
    moved = dataclasses.replace(given.table, values=values)
    one, other = (fitted.predict_proba(table, given.rows) for table in (given.table, moved))
    assert not np.array_equal(one, other)
    with pytest.raises(DataError, match=r"column atrr.*did you mean atr"):
        stack(features=["atrr"]).fit(given, rng())


def test_files_stand_under_the_names_of_their_models() -> None:
    files = stack().fit(column_samples(), rng()).save()
    assert set(files) == {
        DECLARATION,
        *(
            f"{name}.{file}"
            for name in ("line", "meta")
            for file in ("logistic.json", "scaler.json")
        ),
        "shares.majority.json",
    }
    assert json.loads(files[DECLARATION])["rows"] == 196


def test_a_stack_looks_back_as_far_as_its_bases() -> None:
    lstm = {"_target_": "pipeline.models.lstm.Lstm", "lookback": 6}
    assert stack(bases={"line": LOGISTIC, "waves": lstm}).lookback == 6
    with pytest.raises(ConfigError, match="meta model looks back"):
        stack(meta=lstm)


def test_defaults_of_the_parts_are_written_out() -> None:
    lstm = {"_target_": "pipeline.models.lstm.Lstm", "lookback": 6}
    told = stack(bases={"waves": lstm}).model_dump(mode="json")
    assert told["bases"]["waves"]["network"]["hidden"] == 128
    assert Stack.parse(told, "again").model_dump(mode="json") == told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"bases": {}}, "bases"),
        ({"bases": {"meta": LOGISTIC}}, "not called 'meta'"),
        ({"bases": {"a.b": LOGISTIC}}, "a.b"),
        ({"bases": {"line": {**LOGISTIC, "penalti": 1}}}, "base line.*penalti|penalti.*base line"),
        ({"bases": {"raw": {"_target_": "pipeline.models.calibration.NoCalibration"}}}, "no model"),
        ({"meta": {"penalty": 1}}, "_target_"),
    ],
)
def test_what_is_no_stack_is_refused(changes: Node, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        build({"_target_": "pipeline.models.stack.Stack", **NODE, **changes}, "model=stack")


def test_too_few_rows_for_the_folds_are_refused() -> None:
    with pytest.raises(DataError, match=r"(rows|train)"):
        stack().fit(column_samples().take(np.arange(4)), rng())
