"""One fold's fit: trained, asked of its test, and judged, so that its model can go.

Fits are independent of each other: each draws from a generator of its own, told by the seed and its
number, 0 for the refit on all rows. So they may be made in any order and in any process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.fitting.certification import (
    Certification,
    certify,
    last_fold,
    newest_tested,
    unlabelled_rows,
)
from pipeline.fitting.importance import loss_increases, sampled_rows
from pipeline.labels.learned import Classes, LearnedRule
from pipeline.models.base import Fitted, Floats, Model, Report, Rows, Samples
from pipeline.models.calibration import Calibration, NoCalibration
from pipeline.models.class_weight import class_weights
from pipeline.models.member_shares import training_shares
from pipeline.models.nested_calibration import CalibrationFit, OutOfFoldRows
from pipeline.models.probabilities import check_probabilities
from pipeline.splits.fold import Fold

UNCALIBRATED = NoCalibration()
REFIT = -1
IMPORTANCE = 1  # tells the generator of the importance from that of the fit


@dataclass(frozen=True, slots=True)
class PredictedFold:
    """One fold's out-of-fold predictions, rows in the order of its test, and who made them.

    ``label`` is what they are judged by, `rule` what the training rows taught of it; `raw` are
    the rows before they were calibrated.
    """

    predictions: pd.DataFrame
    fitted: Fitted
    label: Classes
    rule: LearnedRule | None
    raw: OutOfFoldRows
    calibration: CalibrationFit = field(default_factory=CalibrationFit)


@dataclass(frozen=True, slots=True)
class JudgedFold:
    """What is kept of a fold when its model is gone; nothing of it is calibrated.

    `newest` is what it said of the rows that have no label yet, of the last fold alone.
    """

    predictions: pd.DataFrame
    report: Report
    increases: Floats
    rule: LearnedRule | None
    raw: OutOfFoldRows
    newest: Floats | None = None


@dataclass(frozen=True, slots=True)
class Refit:
    """The model of all rows, which is served."""

    fitted: Fitted
    rule: LearnedRule | None


@dataclass(frozen=True, slots=True)
class HeadTask:
    """All that the fits of one head follow from; `folds` are checked."""

    samples: Samples
    model: Model
    folds: list[Fold]
    seed: int
    calibration: Calibration = UNCALIBRATED

    @property
    def asked(self) -> list[Rows]:
        """The test rows of each fold that its importance is judged on."""
        return sampled_rows(self.folds)

    @property
    def last_fold(self) -> int:
        """Number of the fold that the refit is held against."""
        return last_fold(self.folds, self.samples.time)

    @property
    def newest(self) -> Rows:
        """Table rows that have no label yet, which both are asked about."""
        return unlabelled_rows(self.samples, self.model.lookback)


class Fit(NamedTuple):
    """Which fit of which head; `REFIT` is that of all rows."""

    head: str
    number: int


@dataclass
class HeadFits:
    """Does any fit of any head; what is large travels as files in `folder`, and is mapped."""

    tasks: Mapping[str, HeadTask]
    folder: Path

    def __call__(self, fit: Fit) -> JudgedFold | Refit:
        """Fit and judge one fold, or refit on all rows."""
        task = self.tasks[fit.head]
        if fit.number == REFIT:
            rule = task.samples.learned()
            return Refit(task.model.fit(task.samples.judged(rule), generator(task.seed, 0)), rule)
        return judge_fold(task, fit.number)

    def size(self, fit: Fit) -> float:
        """Values that are learned from."""
        task = self.tasks[fit.head]
        everything = len(task.samples.rows)
        rows = everything if fit.number == REFIT else len(task.folds[fit.number].train)
        return float(rows * len(task.samples.table.columns))

    def stays(self, fit: Fit) -> bool:
        """A fitted model does not travel, what it said of its test does."""
        return fit.number == REFIT

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the tables' values, which are written to files."""
        tasks = {name: self._without_values(name) for name in self.tasks}
        return {"tasks": tasks, "folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map the tables' values."""
        self.folder = state["folder"]
        self.tasks = {
            name: _with_values(task, np.asarray(np.load(self._file(name), mmap_mode="r")))
            for name, task in state["tasks"].items()
        }

    def _without_values(self, name: str) -> HeadTask:
        task, file = self.tasks[name], self._file(name)
        if not file.exists():
            np.save(file, task.samples.table.values)
        return _with_values(task, np.empty((0, len(task.samples.table.columns))))

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npy"


def predict_fold(task: HeadTask, number: int) -> PredictedFold:
    """Fit on a fold's training rows and predict its test, uncalibrated."""
    samples, fold = task.samples, task.folds[number]
    rule = samples.take(fold.train).learned()
    train, test = (samples.take(rows).judged(rule) for rows in (fold.train, fold.test))
    fitted = task.model.fit(train, generator(task.seed, number + 1))
    probability = fitted.predict_proba(test.table, test.rows)
    base = training_shares(train, test)
    check_probabilities(probability)
    columns = probability_columns(train.classes, probability)
    columns |= {f"base_{name}": base[:, k] for k, name in enumerate(train.classes)}
    fold_number = np.full(len(test.rows), number, "int16")
    own = {} if rule is None else {"label": test.label}
    frame = pd.DataFrame({"fold": fold_number, **columns, **own}, index=samples.index[fold.test])
    raw = OutOfFoldRows(fold.test, probability, test.label, class_weights(task.model, train))
    return PredictedFold(frame, fitted, test.label, rule, raw)


def judge_fold(task: HeadTask, number: int) -> JudgedFold:
    """Fit, predict and tell what each column was worth."""
    part = predict_fold(task, number)
    chance = generator(task.seed, number + 1, IMPORTANCE)
    tested = task.samples.take(task.asked[number]).judged(part.rule)
    increases = loss_increases(part.fitted, tested, task.model.lookback, chance)
    newest = _ask(part.fitted, task.samples, task.newest) if number == task.last_fold else None
    return JudgedFold(
        part.predictions, part.fitted.report(), increases, part.rule, part.raw, newest
    )


def certified(
    task: HeadTask, last: JudgedFold, fitted: Fitted, learnt: tuple[CalibrationFit, CalibrationFit]
) -> Certification:
    """Ask the refit what the last fold's model was asked, each with its own calibrator.

    Parameters
    ----------
    learnt
        That of the refit, and that of the last fold.
    """
    samples, newest, unlabelled = task.samples, last.newest, task.newest
    assert newest is not None
    kept = newest_tested(last.raw.rows, samples.time, len(unlabelled))
    rows = np.concatenate([samples.rows[last.raw.rows[kept]], unlabelled])
    said = (
        _ask(fitted, samples, rows),
        np.concatenate([last.raw.probability[kept], newest]),
    )
    refit, fold = (
        own.calibrator.apply(each) if own.calibrator else each
        for each, own in zip(said, learnt, strict=True)
    )
    return certify(samples.classes, refit, fold, len(unlabelled))


def generator(seed: int, fit: int, purpose: int = 0) -> np.random.Generator:
    """The chance of one fit, or of another purpose beside it; the same in any process."""
    return np.random.default_rng([seed, fit, purpose] if purpose else [seed, fit])


def probability_columns(classes: tuple[str, ...], probability: Floats) -> dict[str, Floats]:
    """Probabilities as the columns of a prediction frame."""
    return {f"p_{name}": probability[:, k] for k, name in enumerate(classes)}


def _ask(fitted: Fitted, samples: Samples, rows: Rows) -> Floats:
    """Probabilities at table rows, shape (rows, classes), of which there may be none."""
    if not len(rows):
        return np.empty((0, len(samples.classes)))
    return fitted.predict_proba(samples.table, rows)


def _with_values(task: HeadTask, values: Floats) -> HeadTask:
    table = replace(task.samples.table, values=values)
    return replace(task, samples=replace(task.samples, table=table))
