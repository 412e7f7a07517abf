"""What the checks of an audit are worth: leaks that somebody could write, one for each."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.experiments.audit import training
from pipeline.experiments.audit.causality import (
    CORRUPTED,
    SPOILS,
    TRUNCATED,
    compared,
    label_table,
)
from pipeline.experiments.audit.markets import NOISE, draw
from pipeline.experiments.audit.permuted import block_permuted
from pipeline.experiments.audit.plans import own_plan
from pipeline.experiments.audit.serving import loaded, parity, refused
from pipeline.experiments.audit.training import Recorder, calibrated, fit_folds, fitted, overlap
from pipeline.experiments.audit.workshop import Workshop
from pipeline.frames import key_by_market
from pipeline.labels.three_class import ThreeClass
from pipeline.models.base import FeatureTable, Fitted, Rows, Samples
from pipeline.models.class_weight import WeighsClasses
from pipeline.models.majority import Majority
from pipeline.splits.fold import Fold
from tests.causality import SETS
from tests.spine import CONF, chosen
from tests.unit.test_training import TREES

LABEL, HEAD = ThreeClass(horizon_hours=24, threshold=0.01), "direction"
QUICK = ("model=logistic", "features=scale_free")


@functools.cache
def candles(rows: int = 3000) -> pd.DataFrame:
    return draw(NOISE, rows, "1h", np.random.default_rng(5)).candles


@functools.cache
def workshop(*words: str) -> Workshop:
    return Workshop.of(own_plan(chosen(*(words or QUICK)), CONF))


@functools.cache
def samples() -> Samples:
    return workshop().samples(HEAD, key_by_market(candles(), "SIM-BTC"))


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_honest_labels_pass_and_three_leaks_are_caught() -> None:
    def early(frame: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        found = LABEL.compute(frame, timeframe)
        return found.assign(ends_at=found["ends_at"] - pd.Timedelta(hours=12))

    def ranked(frame: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        found = LABEL.compute(frame, timeframe)
        cut = frame["close"].median()
        label = (frame["close"].reindex(found.index) > cut).astype("int8")
        return found.assign(label=label)

    def caught(compute: Any, spoils: Any) -> set[str]:
        table = label_table(compute, "1h")
        return {*compared(table, candles(400), [60, 170, 300], spoils, rng()).found}

    assert caught(LABEL.compute, SPOILS) == set()
    assert caught(early, TRUNCATED) == {"rows"}
    assert caught(early, CORRUPTED) == {"label"}
    assert caught(ranked, TRUNCATED) == {"label"}


def test_a_split_without_purge_is_caught() -> None:
    work, rows = workshop(), samples()
    folds = work.folds(rows)
    assert overlap(folds, rows).passed
    unpurged = [replace(fold, train=np.sort(np.r_[fold.train, fold.purged])) for fold in folds]
    found = overlap(unpurged, rows)
    assert found.passed is False
    assert found.number.startswith(f"{sum(len(fold.purged) for fold in folds)} of")
    both = Fold(folds[0].train, np.r_[folds[0].test, folds[0].train[:5]])
    assert overlap([both], rows).passed is False


@dataclass(frozen=True)
class Peeking:
    """A model whose scaler has seen the whole table, not the training rows alone."""

    inner: Any
    lookback: int = 1

    def fit(self, given: Samples, rng: np.random.Generator) -> Fitted:
        table = given.table
        scaled = (table.values - table.values.mean(axis=0)) / (table.values.std(axis=0) + 1e-9)
        return self.inner.fit(replace(given, table=replace(table, values=scaled)), rng)

    def load(self, files: dict[str, bytes]) -> Fitted:
        return self.inner.load(files)


def test_a_scaler_that_saw_the_test_is_caught() -> None:
    work, rows = workshop(), samples()
    assert fitted(fit_folds(work, HEAD, rows)).passed
    honest = work.build(work.config.heads[HEAD].model, HEAD)
    peeking = Workshop(work.plan, work.context, work.config, work.tables, {HEAD: Peeking(honest)})
    found = fitted(fit_folds(peeking, HEAD, rows))
    assert found.passed is False
    assert "3 of 3 fits changed" in found.number


def test_a_label_learned_from_all_rows_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    work = workshop(*QUICK, "label=high_vol")
    rows = work.samples(HEAD, key_by_market(candles(), "SIM-BTC"))
    assert fitted(fit_folds(work, HEAD, rows)).passed
    take = Samples.take

    def kept_outcomes(self: Samples, positions: Rows) -> Samples:
        known = self.outcomes
        assert known is not None
        part = take(self, positions)
        values = np.sort(known.values)[
            np.linspace(0, len(known.values) - 1, len(positions)).astype(int)
        ]
        return replace(part, outcomes=replace(known, values=values))

    monkeypatch.setattr(Samples, "take", kept_outcomes)
    assert fitted(fit_folds(work, HEAD, rows)).passed is False


def test_a_training_that_shows_test_rows_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.fitting import fold_fits

    def shown_all(task: Any, number: int) -> Any:
        fold = task.folds[number]
        both = np.sort(np.r_[fold.train, fold.test])
        rule, train = None, task.samples.take(both)
        made = task.model.fit(train, fold_fits.generator(task.seed, number + 1))
        said = made.predict_proba(train.table, task.samples.take(fold.test).rows)
        raw = fold_fits.OutOfFoldRows(fold.test, said, task.samples.take(fold.test).label)
        return fold_fits.PredictedFold(pd.DataFrame(), made, raw.label, rule, raw)

    monkeypatch.setattr(training, "predict_fold", shown_all)
    made = fit_folds(workshop(), HEAD, samples())
    tests = sum(len(fold.test) for fold in made.task.folds)
    found = fitted(made)
    assert found.passed is False
    assert found.number.startswith(f"{tests} test rows shown in 3 fits, 3 of 3 fits changed")


def test_every_fold_is_fitted_once_and_three_of_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fits, once = list[int](), training.predict_fold

    def counted(task: Any, number: int) -> Any:
        fits.append(number)
        return once(task, number)

    monkeypatch.setattr(training, "predict_fold", counted)
    made = fit_folds(workshop(*QUICK, "split=purged_kfold"), HEAD, samples())
    assert fits == [0, 1, 2, 3, 4]
    assert len(made.raw) == 5
    assert fitted(made).passed
    assert sorted(fits[5:]) == [0, 2, 4]


def test_a_calibrator_that_knew_the_outcomes_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    work, rows = workshop(), samples()
    raw = fit_folds(work, HEAD, rows).raw
    assert calibrated(work, rows, raw).passed
    from pipeline.models.nested_calibration import calibrated_on

    def knowing(before: Any, own: Any, given: Samples, calibration: Any) -> Any:
        learnt = calibrated_on([*before, own], given, calibration)
        assert learnt.calibrator is not None
        return learnt.calibrator.apply(own.probability), learnt

    monkeypatch.setattr(training, "calibrated_fold", knowing)
    assert calibrated(work, rows, raw).passed is False


@dataclass(frozen=True)
class Careless:
    """A fitted model that takes whatever columns it is given."""

    columns: tuple[str, ...]

    def predict_proba(self, table: FeatureTable, rows: Rows) -> np.ndarray:
        return np.full((len(rows), 3), 1 / 3)

    def save(self) -> dict[str, bytes]:
        return {}


@functools.cache
def model_and_fit() -> tuple[Any, Fitted]:
    work = workshop()
    model = work.build(work.config.heads[HEAD].model, HEAD)
    return model, model.fit(samples(), rng())


def test_a_model_that_takes_any_columns_is_caught() -> None:
    assert refused(model_and_fit()[1], samples(), rng()).passed
    careless: Any = Careless(samples().table.columns)
    found = refused(careless, samples(), rng())
    assert found.passed is False
    assert found.number == "0 of 4 wrong tables refused"


def test_a_model_that_loses_something_on_its_way_to_a_file_is_caught() -> None:
    model, made = model_and_fit()
    assert loaded(model, made, samples()).passed

    @dataclass(frozen=True)
    class Forgetful:
        def load(self, files: Any) -> Any:
            return Careless(samples().table.columns)

    assert loaded(Forgetful(), made, samples()).passed is False  # type: ignore[arg-type]


def test_serving_is_compared_moment_by_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    features = SETS["scale_free"]
    assert parity(features, candles(), 20).passed
    newest = type(features).newest
    monkeypatch.setattr(
        type(features), "newest", lambda self, tail, rows=1: newest(self, tail, rows) * (1 + 1e-9)
    )
    assert parity(features, candles(), 20).passed is False


def test_permuted_weeks_hold_the_same_labels_in_another_order() -> None:
    rows = samples()
    moved = block_permuted(rows, rng())
    assert sorted(moved.label) == sorted(rows.label)
    assert (moved.label != rows.label).mean() > 0.4
    assert moved.ends_at.equals(rows.ends_at)
    same = np.corrcoef(rows.label[:-1], rows.label[1:])[0, 1]
    assert np.corrcoef(moved.label[:-1], moved.label[1:])[0, 1] == pytest.approx(same, abs=0.1)


@pytest.mark.parametrize("weight", ["none", "balanced"])
def test_a_recorder_weighs_classes_as_its_model_does(weight: Any) -> None:
    model = TREES.model_copy(update={"class_weight": weight})
    assert isinstance(Recorder(model), WeighsClasses)
    assert Recorder(model).class_weight == weight
    assert Recorder(Majority()).class_weight == "none"
