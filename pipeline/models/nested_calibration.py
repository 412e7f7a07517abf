"""Calibration inside folds: nobody is calibrated by what they are judged on.

Fold k is calibrated on the out-of-fold rows of the folds before it, those left out whose label
touches its test; the calibrator that is served is fitted on the out-of-fold rows of all folds.

A calibration that forgets is fitted anew within the fold, too, on what had become known by then:
the fold's own earlier rows are out of fold as well, and who serves a slot has seen how they ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.models.base import Floats, Rows, Samples
from pipeline.models.calibration import Calibration, Calibrator, Classes
from pipeline.models.class_weight import ClassWeights, TakesWeightsBack, unweighed
from pipeline.splits.fold import purge

DAY = pd.Timedelta(days=1)
SAME = 1e-9  # difference of probabilities that says nothing


@dataclass(frozen=True, slots=True)
class OutOfFoldRows:
    """What a fold's model said of its test, uncalibrated, and what came true.

    `class_weights` are those of the model's fit; None where all classes weighed the same.
    """

    rows: Rows
    probability: Floats
    label: Classes
    class_weights: ClassWeights | None = None

    def take(self, chosen: npt.NDArray[np.bool_]) -> OutOfFoldRows:
        """A part of the rows."""
        return replace(
            self,
            rows=self.rows[chosen],
            probability=self.probability[chosen],
            label=self.label[chosen],
        )

    def learnt_from(self, calibration: Calibration) -> OutOfFoldRows:
        """As the calibration learns from them: class weights taken back, where it does that."""
        if self.class_weights is None or not isinstance(calibration, TakesWeightsBack):
            return self
        without = unweighed(self.probability, self.class_weights)
        return replace(self, probability=without, class_weights=None)


@dataclass(frozen=True, slots=True)
class CalibrationFit:
    """A calibrator and the rows that it learnt from, or why there is none.

    Without either, no calibration was asked for. Where a fold had several, one after the other,
    it is the last one, and `times` says how many there were.
    """

    calibrator: Calibrator | None = None
    rows: int = 0
    why_not: str = ""
    times: int = 1

    def facts(self) -> dict[str, int | str]:
        """As JSON values; nothing where none was asked for."""
        if self.calibrator is not None:
            return {"rows": self.rows, **({"times": self.times} if self.times > 1 else {})}
        return {"left_out": self.why_not} if self.why_not else {}

    def of_model(self, weights: ClassWeights | None, calibration: Calibration) -> CalibrationFit:
        """The same for a model that was fitted with such class weights."""
        if weights is None or not isinstance(calibration, TakesWeightsBack):
            return self
        found = calibration.after_weights(weights, self.calibrator)
        return replace(self, calibrator=found, why_not="" if found else self.why_not)


def calibrated_fold(
    before: Sequence[OutOfFoldRows], own: OutOfFoldRows, samples: Samples, calibration: Calibration
) -> tuple[Floats, CalibrationFit]:
    """Probabilities of a fold's rows, calibrated on what was known of others, and the calibrator.

    A model that says the same of every row has learnt nothing, and is left at that.

    Parameters
    ----------
    before
        The folds before it.
    own
        The fold to be calibrated.
    samples
        All rows, to which those of the folds refer.
    """
    if calibration.least_effective_rows is None:
        return own.probability, CalibrationFit()
    if np.ptp(own.probability, axis=0).max() < SAME:
        return own.probability, CalibrationFit(why_not="its model says the same of every row")
    if calibration.forgetting is None:
        learnt = calibrated_on(before, samples, calibration, own.rows, own.class_weights)
        return _applied(learnt, own.probability), learnt
    judged = _joined([each.learnt_from(calibration) for each in (*before, own)], samples)
    ended, probability = samples.ends_at[judged.rows], own.probability.copy()
    learnt, times = CalibrationFit(), 0
    for now, block in _blocks(samples.time[own.rows], calibration.forgetting.every_days):
        learnt = _learnt(judged.take(np.asarray(ended <= now)), samples, calibration, now)
        times += learnt.calibrator is not None
        learnt = learnt.of_model(own.class_weights, calibration)
        probability[block] = _applied(learnt, own.probability[block])
    return probability, replace(learnt, times=times)


def calibrated_on(
    judged: Sequence[OutOfFoldRows],
    samples: Samples,
    calibration: Calibration,
    test: Rows | None = None,
    class_weights: ClassWeights | None = None,
) -> CalibrationFit:
    """Fit a calibrator on out-of-fold rows.

    Parameters
    ----------
    judged
        The folds to learn from; a row may stand in several of them, and shares its weight among
        them and with the other markets of its moment.
    samples
        All rows, to which those of the folds refer.
    test
        The rows to be calibrated, where they are judged too; what touches them is left out.
    class_weights
        Those of the fit of the model that is to be calibrated.
    """
    if calibration.least_effective_rows is None:
        return CalibrationFit()
    if not judged:
        return CalibrationFit(why_not="no fold before this one")
    every = _joined([each.learnt_from(calibration) for each in judged], samples)
    if test is not None:
        kept = purge(every.rows, test, samples.time, samples.ends_at).train
        every = every.take(np.isin(every.rows, kept))
    learnt = _learnt(every, samples, calibration, samples.ends_at[every.rows].max())
    return learnt.of_model(class_weights, calibration)


def served(folds: Sequence[CalibrationFit], last: CalibrationFit) -> CalibrationFit:
    """The calibrator of the rows of all folds; none where no fold was judged with one.

    Examples
    --------
    >>> from pipeline.models.calibration import Sigmoids
    >>> learnt = CalibrationFit(Sigmoids(slopes=(1.0,), intercepts=(0.0,)), 90)
    >>> served([learnt], learnt) == learnt
    True
    >>> served([CalibrationFit(why_not="no fold before this one")], learnt).why_not
    'no fold was calibrated, so no score would be of what is served'
    """
    if last.calibrator is None or any(fold.calibrator for fold in folds):
        return last
    return CalibrationFit(why_not="no fold was calibrated, so no score would be of what is served")


def _joined(judged: Sequence[OutOfFoldRows], samples: Samples) -> OutOfFoldRows:
    """The rows of several folds that have any weight."""
    every = OutOfFoldRows(
        np.concatenate([each.rows for each in judged]),
        np.concatenate([each.probability for each in judged]),
        np.concatenate([each.label for each in judged]),
    )
    return every.take(samples.weight[every.rows] > 0)


def _learnt(
    judged: OutOfFoldRows, samples: Samples, calibration: Calibration, now: pd.Timestamp
) -> CalibrationFit:
    distinct, forgetting = np.unique(judged.rows), calibration.forgetting
    if not len(distinct):
        return CalibrationFit(why_not="no outcome was known")
    least = calibration.least_effective_rows
    if least and (effective := _effective(samples, distinct)) < least:
        why_not = f"{effective:.1f} effective rows of the {least:g} that it needs"
        return CalibrationFit(why_not=why_not)
    missing = [name for k, name in enumerate(samples.classes) if not (judged.label == k).any()]
    if missing and forgetting is None:
        return CalibrationFit(why_not=f"no row of {', '.join(missing)}")
    weight = _shared(samples, judged.rows)
    if forgetting is not None:
        days = (now - samples.ends_at[judged.rows]) / DAY
        weight = weight * 0.5 ** (days.to_numpy("float64") / forgetting.half_life_days)
    learnt = calibration.fit(judged.probability, judged.label, weight)
    return CalibrationFit(learnt, len(distinct))


def _applied(learnt: CalibrationFit, probability: Floats) -> Floats:
    return learnt.calibrator.apply(probability) if learnt.calibrator else probability


def _blocks(
    time: pd.DatetimeIndex, days: float
) -> Iterator[tuple[pd.Timestamp, npt.NDArray[np.intp]]]:
    """The rows between one fit and the next, and the moment of the first of them."""
    number = ((time - time.min()) / DAY / days).to_numpy("float64").astype("int64")
    for each in np.unique(number):
        block = np.flatnonzero(number == each)
        yield time[block].min(), block


def _shared(samples: Samples, rows: Rows) -> Floats:
    """Weight of each row, by how often it is there and how many markets share its moment."""
    distinct, place, times = np.unique(rows, return_inverse=True, return_counts=True)
    share: Floats = samples.weight[distinct] / times / _markets(samples, distinct)
    return share[place]


def _markets(samples: Samples, rows: Rows) -> Floats:
    """How many markets share each row's moment."""
    if len(samples.table.index.unique("market")) == 1:
        return np.ones(len(rows))
    keys = samples.index[rows]
    market = pd.Series(np.asarray(keys.get_level_values("market")))
    shared = market.groupby(np.asarray(keys.get_level_values("time"))).transform("nunique")
    return shared.to_numpy("float64")


def _effective(samples: Samples, rows: Rows) -> float:
    """Of the market that has most: several at one moment tell no more than one."""
    market = samples.index[rows].get_level_values("market")
    return float(pd.Series(samples.weight[rows]).groupby(np.asarray(market)).sum().max())
