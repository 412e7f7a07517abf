"""What was fitted was shown training rows only: recorded, and proven by spoiling all others.

A recorder notes the rows that a model is given. The proof asks for more: folds are fitted again on
samples whose test rows hold other features, labels and outcomes. Whatever a model, a scaler or a
learned label takes from a test row changes its bytes. Every fold is fitted once for all checks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.experiments.audit.check import Result
from pipeline.experiments.audit.workshop import Workshop
from pipeline.fitting.fold_fits import HeadTask, PredictedFold, predict_fold
from pipeline.models.base import Files, Fitted, Model, Rows, Samples
from pipeline.models.calibration import Calibration
from pipeline.models.class_weight import ClassWeight
from pipeline.models.nested_calibration import OutOfFoldRows, calibrated_fold
from pipeline.splits.fold import Fold

Saved = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Recorder:
    """A model that notes the table rows of every fit, and otherwise is the one it stands for."""

    model: Model
    shown: list[Rows] = field(default_factory=list)

    @property
    def lookback(self) -> int:
        """Rows, the newest included, that one prediction sees."""
        return self.model.lookback

    @property
    def class_weight(self) -> ClassWeight:
        """How classes are weighed, as calibration takes it back."""
        return getattr(self.model, "class_weight", "none")

    def fit(self, samples: Samples, rng: np.random.Generator) -> Fitted:
        """Note the rows, and fit."""
        self.shown.append(samples.rows)
        return self.model.fit(samples, rng)

    def load(self, files: Files) -> Fitted:
        """Rebuild what the model wrote."""
        return self.model.load(files)


@dataclass(frozen=True, slots=True)
class FoldFits:
    """Every fold of a head fitted once, for all checks that ask about fits.

    `shown` are the table rows of each fit, `raw` the uncalibrated out-of-fold rows, fold by fold;
    `saved` are the files of the folds that are to be fitted again, `newest` is the last model.
    """

    task: HeadTask
    shown: tuple[Rows, ...]
    raw: tuple[OutOfFoldRows, ...]
    saved: Mapping[int, Saved]
    newest: Fitted


def overlap(folds: Sequence[Fold], samples: Samples) -> Result:
    """Count training rows whose label shares time with a test, and rows on both sides.

    Every pair is looked at, whatever the split says of itself.
    """
    touching = shared = 0
    for fold in folds:
        shared += len(np.intersect1d(samples.rows[fold.train], samples.rows[fold.test]))
        touching += _touching(fold, samples)
    pairs = sum(len(fold.train) for fold in folds)
    number = f"{touching + shared} of {pairs} training rows in {len(folds)} folds"
    return Result(check="overlap", passed=not touching + shared, number=number)


def fit_folds(work: Workshop, head: str, samples: Samples) -> FoldFits:
    """Fit every fold as training does, and note what each model was shown."""
    recorder = Recorder(work.build(work.config.heads[head].model, head))
    task = HeadTask(samples, recorder, work.folds(samples), work.config.seed)
    numbers = range(len(task.folds))
    raw, saved, newest = list[OutOfFoldRows](), dict[int, Saved](), None
    for number in numbers:
        part = predict_fold(task, number)
        raw.append(part.raw)
        if number in _chosen(len(numbers)):
            saved[number] = _saved(part)
        newest = part.fitted
    assert newest is not None
    return FoldFits(task, tuple(recorder.shown), tuple(raw), saved, newest)


def fitted(made: FoldFits) -> Result:
    """Look at what the folds' models were shown, and fit them again beside spoiled tests."""
    samples, strange, changed = made.task.samples, 0, 0
    for fold, shown in zip(made.task.folds, made.shown, strict=True):
        tested = samples.rows[np.setdiff1d(fold.test, fold.train)]
        strange += len(np.intersect1d(shown, tested))
    for number, honest in made.saved.items():
        spoiled = _spoiled(samples, made.task.folds[number], number)
        changed += honest != _saved(predict_fold(replace(made.task, samples=spoiled), number))
    number_told = (
        f"{strange} test rows shown in {len(made.shown)} fits, {changed} of {len(made.saved)} "
        "fits changed by spoiled tests"
    )
    return Result(check="fitted", passed=not strange + changed, number=number_told)


def calibrated(work: Workshop, samples: Samples, raw: Sequence[OutOfFoldRows]) -> Result:
    """Turn the outcomes that were not known yet at half of a fold, and calibrate it again.

    Parameters
    ----------
    raw
        Uncalibrated out-of-fold rows, fold by fold.
    """
    calibration: Calibration = work.build(work.config.calibration, "calibration")
    changed = looked = 0
    for number, own in enumerate(raw):
        time = samples.time[own.rows]
        half = time.sort_values()[len(time) // 2]
        early = np.asarray(time < half)
        later = np.asarray(samples.ends_at[own.rows] > half)
        label = np.where(later, (own.label + 1) % len(samples.classes), own.label)
        turned = replace(own, label=label.astype(own.label.dtype))
        said, _ = calibrated_fold(raw[:number], own, samples, calibration)
        again, _ = calibrated_fold(raw[:number], turned, samples, calibration)
        changed += int((said[early] != again[early]).any(axis=1).sum())
        looked += int(early.sum())
    number_told = f"{changed} of {looked} probabilities changed by outcomes not known yet"
    return Result(check="calibrated", passed=not changed, number=number_told)


def _touching(fold: Fold, samples: Samples) -> int:
    """Training rows that share an instant with a test row, from open to the label's end."""
    opens, ends = (each.as_unit("ns").asi8 for each in (samples.time, samples.ends_at))
    start, stop = opens[fold.test], ends[fold.test]
    order = np.argsort(start)
    start, latest = start[order], np.maximum.accumulate(stop[order])
    before = np.searchsorted(start, ends[fold.train], side="left") - 1
    meets = (before >= 0) & (latest[np.maximum(before, 0)] > opens[fold.train])
    return int(meets.sum())


def _saved(part: PredictedFold) -> Saved:
    """Bytes of a fold's model and of what its label learned."""
    rule = part.rule
    return {**part.fitted.save(), "rule": repr(rule and rule.model_dump()).encode()}


def _spoiled(samples: Samples, fold: Fold, number: int) -> Samples:
    """The same samples with other values wherever a test row stands."""
    rng = np.random.default_rng(number)
    rows = samples.rows[np.setdiff1d(fold.test, fold.train)]
    values, label = samples.table.values.copy(), samples.label.copy()
    values[rows] = rng.uniform(-1e6, 1e6, (len(rows), values.shape[1]))
    if (label >= 0).all():
        label[fold.test] = (label[fold.test] + 1) % len(samples.classes)
    outcomes = samples.outcomes
    if outcomes is not None:
        changed = outcomes.values.copy()
        changed[fold.test] = 1e6 * rng.standard_normal(len(fold.test))
        outcomes = replace(outcomes, values=changed)
    table = replace(samples.table, values=values)
    return replace(samples, table=table, label=label, outcomes=outcomes)


def _chosen(folds: int) -> set[int]:
    """The oldest fold, one between and the newest.

    Examples
    --------
    >>> sorted(_chosen(8)), _chosen(1)
    ([0, 4, 7], {0})
    """
    return {0, folds // 2, folds - 1}
