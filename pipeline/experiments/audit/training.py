"""What was fitted was shown training rows only: recorded, and proven by spoiling all others.

A recorder notes the rows that a model is given. The proof asks for more: folds are fitted again on
samples whose test rows hold other features, labels and outcomes. Whatever a model, a scaler or a
learned label takes from a test row changes its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.experiments.audit.check import Result
from pipeline.experiments.audit.workshop import Workshop
from pipeline.fold_fits import generator
from pipeline.models.base import Fitted, Model, Rows, Samples
from pipeline.models.calibration import Calibration
from pipeline.models.nested_calibration import OutOfFoldRows, calibrated_fold
from pipeline.splits.fold import Fold
from pipeline.training import predict_folds

MOST_FITS = 3  # folds that are fitted again, the newest among them


@dataclass(frozen=True, slots=True)
class Recorder:
    """A model that notes the table rows of every fit, and otherwise is the one it stands for."""

    model: Model
    shown: list[Rows] = field(default_factory=list)

    @property
    def lookback(self) -> int:
        """Rows, the newest included, that one prediction sees."""
        return self.model.lookback

    def fit(self, samples: Samples, rng: np.random.Generator) -> Fitted:
        """Note the rows, and fit."""
        self.shown.append(samples.rows)
        return self.model.fit(samples, rng)

    def load(self, files: dict[str, bytes]) -> Fitted:
        """Rebuild what the model wrote."""
        return self.model.load(files)


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


def fitted(work: Workshop, head: str, samples: Samples) -> Result:
    """Record what the folds' models were shown, and fit them again beside spoiled tests."""
    folds, model = work.folds(samples), work.build(work.config.heads[head].model, head)
    strange = changed = looked = 0
    for number in _chosen(len(folds)):
        fold, recorder = folds[number], Recorder(model)
        honest = _fit(samples, fold, recorder, number)
        again = _fit(_spoiled(samples, fold, number), fold, recorder, number)
        tested = samples.rows[np.setdiff1d(fold.test, fold.train)]
        strange += sum(len(np.intersect1d(rows, tested)) for rows in recorder.shown)
        changed += honest != again
        looked += 1
    number_told = f"{strange} test rows shown, {changed} of {looked} fits changed by spoiled tests"
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


def raw_folds(work: Workshop, head: str, samples: Samples) -> list[OutOfFoldRows]:
    """Uncalibrated out-of-fold rows of every fold of the plan's split."""
    model = work.build(work.config.heads[head].model, head)
    folds = work.folds(samples)
    return [part.raw for part in predict_folds(samples, model, folds, work.config.seed)]


def _touching(fold: Fold, samples: Samples) -> int:
    """Training rows that share an instant with a test row, from open to the label's end."""
    opens, ends = (each.as_unit("ns").asi8 for each in (samples.time, samples.ends_at))
    start, stop = opens[fold.test], ends[fold.test]
    order = np.argsort(start)
    start, latest = start[order], np.maximum.accumulate(stop[order])
    before = np.searchsorted(start, ends[fold.train], side="left") - 1
    meets = (before >= 0) & (latest[np.maximum(before, 0)] > opens[fold.train])
    return int(meets.sum())


def _fit(samples: Samples, fold: Fold, model: Recorder, number: int) -> dict[str, bytes]:
    """Bytes of a fold's model and of what its label learned."""
    train = samples.take(fold.train)
    rule = train.learned()
    made = model.fit(train.judged(rule), generator(7, number + 1))
    return {**made.save(), "rule": repr(rule and rule.model_dump()).encode()}


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


def _chosen(folds: int) -> Iterator[int]:
    yield from sorted({0, folds // 2, folds - 1})[-MOST_FITS:]
