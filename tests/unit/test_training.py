from __future__ import annotations

import weakref
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import DataError
from pipeline.evaluation.metrics import score_head
from pipeline.fitting.training import labelled_samples, train_head
from pipeline.frames import key_by_market
from pipeline.labels.three_class import ThreeClass
from pipeline.models.base import FeatureTable, Files, Model, Report, Rows, Samples
from pipeline.models.lightgbm import LightGBM
from pipeline.models.majority import Majority
from pipeline.models.probabilities import check_probabilities
from pipeline.splits.fold import Fold
from pipeline.splits.holdout import Holdout
from tests.oracles.walks import random_walk

CLASSES = ThreeClass.classes
RULE = ThreeClass(horizon_hours=24, threshold=0.01)
SPLIT = Holdout(test_share=0.25)
TREES = LightGBM(
    n_estimators=30,
    learning_rate=0.05,
    num_leaves=7,
    max_depth=3,
    min_data_in_leaf=20,
    feature_fraction=0.8,
    bagging_fraction=0.8,
    bagging_freq=1,
    lambda_l2=1.0,
)


@dataclass
class Recorder:
    """Remembers the rows and labels of every fit, and what was asked of which afterwards."""

    lookback = 1
    fits: list[Samples] = field(default_factory=list)
    asked: list[tuple[int, FeatureTable, Rows]] = field(default_factory=list)

    def asked_of(self, table: FeatureTable) -> list[tuple[int, Rows]]:
        return [(number, rows) for number, seen, rows in self.asked if seen is table]

    def fit(self, samples: Samples, rng: np.random.Generator) -> RecorderFitted:
        self.fits.append(samples)
        return RecorderFitted(self, len(self.fits) - 1, samples.table.columns, rng.random())

    def load(self, files: Files) -> RecorderFitted:
        raise NotImplementedError


@dataclass
class RecorderFitted:
    """Answers the same for every row: what its generator drew first."""

    recorder: Recorder
    number: int
    columns: tuple[str, ...]
    drawn: float

    def predict_proba(self, table: FeatureTable, rows: Rows) -> np.ndarray:
        self.recorder.asked.append((self.number, table, rows))
        return np.tile([self.drawn, (1 - self.drawn) / 2, (1 - self.drawn) / 2], (len(rows), 1))

    def save(self) -> dict[str, bytes]:
        return {"drawn": repr(self.drawn).encode()}

    def report(self) -> Report:
        return {"chance": {"number": self.number, "drawn": self.drawn}}


@dataclass(frozen=True)
class TwoFolds:
    """The newest quarter, and the quarter before it judged by what is older."""

    def folds(self, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> list[Fold]:
        quarter = len(time) // 4
        (newest,) = SPLIT.folds(time, ends_at)
        older = np.arange(2 * quarter - 30)
        return [Fold(older, np.arange(2 * quarter, 3 * quarter)), newest]


def frames(rows: int = 600, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Noise as features, true labels: nothing here tells anything."""
    generator = np.random.default_rng(seed)
    candles = random_walk(generator, rows)
    noise = pd.DataFrame(
        generator.normal(size=(rows, 6)), index=candles.index, columns=[f"n{k}" for k in range(6)]
    )
    market = "KRW-SOL"
    return key_by_market(noise.iloc[50:], market), key_by_market(
        RULE.compute(candles, "1h"), market
    )


def joined_rows(rows: int = 600, seed: int = 0) -> Samples:
    return labelled_samples(*frames(rows, seed), CLASSES)


def test_rows_without_features_or_label_are_left_out() -> None:
    features, labels = frames()
    rows = labelled_samples(features, labels, CLASSES)
    common = features.index.intersection(labels.index)
    assert rows.index.equals(common)
    assert len(common) == 600 - 50 - 24
    np.testing.assert_array_equal(rows.values, features.loc[common].to_numpy())
    np.testing.assert_array_equal(rows.label, labels.loc[common, "label"])
    np.testing.assert_array_equal(rows.weight, labels.loc[common, "weight"])
    assert rows.ends_at.tolist() == labels.loc[common, "ends_at"].tolist()
    assert rows.time.tolist() == common.get_level_values("time").tolist()


def test_nothing_in_common_is_told() -> None:
    features, labels = frames()
    with pytest.raises(DataError, match=r"no candle has both.*550 feature rows, 26 labels"):
        labelled_samples(features, labels.iloc[:26], CLASSES)


def test_out_of_fold_rows_are_exactly_the_test_rows() -> None:
    rows = joined_rows()
    for split in (SPLIT, TwoFolds()):
        trained = train_head(rows, Recorder(), split, seed=7)
        expected = np.concatenate([fold.test for fold in trained.folds])
        assert trained.predictions.index.tolist() == rows.index[np.sort(expected)].tolist()
        assert trained.predictions.index.is_unique
        for number, fold in enumerate(trained.folds):
            told = trained.predictions["fold"].loc[rows.index[fold.test]]
            assert (told == number).all()


def test_a_fit_sees_its_training_rows_and_no_other() -> None:
    rows, recorder = joined_rows(), Recorder()
    trained = train_head(rows, recorder, TwoFolds(), seed=7)
    assert len(recorder.fits) == 3
    for fold, seen in zip(trained.folds, recorder.fits, strict=False):
        np.testing.assert_array_equal(seen.rows, rows.rows[fold.train])
        np.testing.assert_array_equal(seen.label, rows.label[fold.train])
        opens = rows.time[fold.test].min()
        known = pd.Series(rows.ends_at, index=rows.rows)[seen.rows]
        assert (known <= opens).all()
        assert not set(seen.rows) & set(rows.rows[fold.test])


def test_a_fold_is_predicted_by_its_own_fit() -> None:
    rows, recorder = joined_rows(), Recorder()
    trained = train_head(rows, recorder, TwoFolds(), seed=7)
    asked = recorder.asked_of(rows.table)[:2]  # then the refit is held against the last of them
    assert [number for number, _ in asked] == [0, 1]
    for (_, seen), fold in zip(asked, trained.folds, strict=True):
        np.testing.assert_array_equal(seen, rows.rows[fold.test])


def test_each_fit_reports_in_order_of_the_folds_the_refit_last() -> None:
    trained = train_head(joined_rows(), Recorder(), TwoFolds(), seed=7)
    assert [report["chance"]["number"] for report in trained.reports] == [0, 1, 2]
    assert isinstance(trained.fitted, RecorderFitted)
    assert trained.reports[-1]["chance"]["drawn"] == trained.fitted.drawn


def test_a_folds_model_is_gone_before_the_next_is_fitted() -> None:
    class Held(RecorderFitted):
        __hash__ = object.__hash__

    @dataclass
    class Holding(Recorder):
        def fit(self, samples: Samples, rng: np.random.Generator) -> RecorderFitted:
            at_once.append(len(alive))
            alive.add(fitted := Held(self, len(at_once) - 1, samples.table.columns, rng.random()))
            return fitted

    alive: weakref.WeakSet[Held] = weakref.WeakSet()
    at_once: list[int] = []
    trained = train_head(joined_rows(), Holding(), TwoFolds(), seed=7)
    assert at_once == [0, 0, 0]
    assert list(alive) == [trained.fitted]


def test_importance_is_asked_of_each_folds_own_model_on_rows_it_was_not_fitted_on() -> None:
    rows, recorder = joined_rows(), Recorder()
    trained = train_head(rows, recorder, TwoFolds(), seed=7)
    asked = [(number, table) for number, table, _ in recorder.asked if table is not rows.table]
    assert {number for number, _ in asked} == {0, 1}
    for number, table in asked:
        tested = rows.index[trained.folds[number].test]
        assert table.index.isin(tested).all()
        assert len(table.index) <= 512
    assert {column.column for column in trained.importance} == set(rows.table.columns)
    assert all(column.increase == column.error == 0 for column in trained.importance)


def test_a_planted_column_is_the_only_important_one() -> None:
    features, labels = frames(1200)
    known = labels["label"].reindex(features.index).fillna(1)
    features["n3"] = known + 0.5 * features["n3"]
    samples = labelled_samples(features, labels, CLASSES)
    first, *others = train_head(samples, TREES, SPLIT, seed=7).importance
    assert first.column == "n3"
    assert first.increase > 3 * first.error > 0
    assert max(column.increase / column.error for column in others) < 3


def test_the_error_of_importance_knows_that_labels_overlap() -> None:
    rows = joined_rows()
    lone = replace(rows, ends_at=pd.DatetimeIndex(rows.time + pd.Timedelta("2h")))
    overlapping, apart = (
        train_head(samples, TREES, SPLIT, seed=7).importance for samples in (rows, lone)
    )
    assert sum(each.error for each in overlapping) > 2 * sum(each.error for each in apart)
    light = replace(rows, weight=rows.weight / 4)
    assert train_head(light, TREES, SPLIT, seed=7).importance == overlapping


def test_what_importance_draws_changes_no_prediction() -> None:
    rows, both = joined_rows(), []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002
        both.append(train_head(rows, TREES, SPLIT, seed=7))
    assert both[0].importance == both[1].importance
    other = train_head(rows, TREES, SPLIT, seed=8)
    assert [one.increase for one in other.importance] != [
        one.increase for one in both[0].importance
    ]


def test_the_refit_sees_every_labelled_row() -> None:
    rows, recorder = joined_rows(), Recorder()
    trained = train_head(rows, recorder, SPLIT, seed=7)
    np.testing.assert_array_equal(recorder.fits[-1].rows, rows.rows)
    np.testing.assert_array_equal(recorder.fits[-1].label, rows.label)
    assert isinstance(trained.fitted, RecorderFitted)
    assert trained.fitted.number == 1


def test_labels_of_the_test_change_no_prediction() -> None:
    features, labels = frames()
    honest = train_head(labelled_samples(features, labels, CLASSES), TREES, SPLIT, seed=7)
    lied = labels.copy()
    test = honest.predictions.index
    lied.loc[test, "label"] = (lied.loc[test, "label"] + 1) % 3
    lied.loc[test, "weight"] = 0.5
    again = train_head(labelled_samples(features, lied, CLASSES), TREES, SPLIT, seed=7)
    pd.testing.assert_frame_equal(again.predictions, honest.predictions, check_exact=True)
    assert again.fitted.save() != honest.fitted.save()


def test_features_of_the_test_change_no_other_prediction() -> None:
    features, labels = frames()
    honest = train_head(labelled_samples(features, labels, CLASSES), TREES, SPLIT, seed=7)
    test = honest.predictions.index
    moved = features.copy()
    moved.loc[test[1:]] = moved.loc[test[1:]] * 100 + 3
    again = train_head(labelled_samples(moved, labels, CLASSES), TREES, SPLIT, seed=7)
    pd.testing.assert_series_equal(again.predictions.iloc[0], honest.predictions.iloc[0])


def test_a_folds_result_does_not_depend_on_the_others() -> None:
    rows = joined_rows()
    both = train_head(rows, Recorder(), TwoFolds(), seed=7)
    one = train_head(rows, Recorder(), SPLIT, seed=7)
    assert isinstance(both.fitted, RecorderFitted)
    assert isinstance(one.fitted, RecorderFitted)
    assert both.fitted.drawn == one.fitted.drawn
    drawn = both.predictions.groupby("fold")["p_sell"].unique()
    assert len(drawn[0]) == len(drawn[1]) == 1
    assert drawn[0][0] == one.predictions["p_sell"].iloc[0] != drawn[1][0]
    assert train_head(rows, Recorder(), SPLIT, seed=8).fitted.save() != one.fitted.save()


def test_the_base_columns_are_the_training_shares() -> None:
    rows = joined_rows()
    trained = train_head(rows, TREES, TwoFolds(), seed=7)
    for number, fold in enumerate(trained.folds):
        shares = np.bincount(rows.label[fold.train], minlength=3) / len(fold.train)
        told = trained.predictions.loc[trained.predictions["fold"] == number]
        for name, share in zip(CLASSES, shares, strict=True):
            assert (told[f"base_{name}"] == share).all()


def test_two_runs_give_the_same_bytes() -> None:
    trained = [train_head(joined_rows(), TREES, SPLIT, seed=7) for _ in range(2)]
    pd.testing.assert_frame_equal(trained[0].predictions, trained[1].predictions, check_exact=True)
    assert trained[0].fitted.save() == trained[1].fitted.save()


@pytest.mark.parametrize("shuffled", [False, True])
def test_noise_does_not_score(shuffled: bool) -> None:
    skills, lows = [], []
    for seed in range(6):
        features, labels = frames(1200, seed)
        if shuffled:
            order = np.random.default_rng(seed).permutation(len(labels))
            labels["label"] = labels["label"].to_numpy()[order]
        rows = labelled_samples(features, labels, CLASSES)
        scores = _scores(rows, TREES, labels)
        skills.append(scores["brier_skill"])
        lows.append(scores["brier_skill_low"])
    assert np.mean(skills) < 0.01
    assert max(skills) < 0.05
    assert np.mean(np.array(lows) > 0) <= 0.2


def test_a_planted_signal_scores() -> None:
    features, labels = frames(1200)
    told = labels["label"].reindex(features.index).fillna(1)
    features["n0"] = told + 0.3 * features["n0"]
    scores = _scores(labelled_samples(features, labels, CLASSES), TREES, labels)
    assert scores["brier_skill"] > 0.3
    assert scores["brier_skill_low"] > 0


def test_majority_has_no_skill_at_all() -> None:
    features, labels = frames()
    scores = _scores(labelled_samples(features, labels, CLASSES), Majority(), labels)
    assert scores["brier_skill"] == 0
    assert scores["brier_skill_low"] == 0
    assert scores["accuracy"] == scores["majority_accuracy"]


def _scores(rows: Samples, model: Model, labels: pd.DataFrame) -> dict[str, float]:
    predictions = train_head(rows, model, SPLIT, seed=7).predictions
    return score_head(predictions.join(labels, how="inner"), CLASSES, "1h")


def test_a_split_that_leaks_is_refused() -> None:
    @dataclass(frozen=True)
    class Shuffled:
        def folds(self, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> list[Fold]:
            order = np.random.default_rng(1).permutation(len(time))
            return [Fold(np.sort(order[100:]), np.sort(order[:100]))]

    recorder = Recorder()
    with pytest.raises(DataError, match="reaches into the test window"):
        train_head(joined_rows(), recorder, Shuffled(), seed=7)
    assert not recorder.fits


@pytest.mark.parametrize(
    "bad",
    [[0.5, 0.6, 0.0], [0.5, 0.5 - 1e-5, 0.0], [1.2, -0.2, 0.0], [np.nan, 0.5, 0.5], [np.inf, 0, 0]],
)
def test_what_is_no_probability_is_refused(bad: list[float]) -> None:
    good = [1.0, 0.0, 0.0]
    check_probabilities(np.array([good, [1 / 3, 1 / 3, 1 / 3]]))
    with pytest.raises(DataError, match=r"not probabilities \(row 2\)"):
        check_probabilities(np.array([good, good, bad, bad]))
