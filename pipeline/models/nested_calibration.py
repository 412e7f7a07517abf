"""Calibration inside folds: nobody is calibrated by what they are judged on.

Fold k is calibrated on the out-of-fold rows of the folds before it, those left out whose label
touches its test; the calibrator that is served is fitted on the out-of-fold rows of all folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.models.base import Floats, Rows, Samples
from pipeline.models.calibration import Calibration, Calibrator, Classes
from pipeline.splits.fold import purge


@dataclass(frozen=True, slots=True)
class OutOfFoldRows:
    """What a fold's model said of its test, uncalibrated, and what came true."""

    rows: Rows
    probability: Floats
    label: Classes

    def take(self, chosen: npt.NDArray[np.bool_]) -> OutOfFoldRows:
        """A part of the rows."""
        return OutOfFoldRows(self.rows[chosen], self.probability[chosen], self.label[chosen])


@dataclass(frozen=True, slots=True)
class CalibrationFit:
    """A calibrator and the rows that it learnt from, or why there is none.

    Without either, no calibration was asked for.
    """

    calibrator: Calibrator | None = None
    rows: int = 0
    why_not: str = ""

    def facts(self) -> dict[str, int | str]:
        """As JSON values; nothing where none was asked for."""
        if self.calibrator is not None:
            return {"rows": self.rows}
        return {"left_out": self.why_not} if self.why_not else {}


def calibrated_on(
    judged: Sequence[OutOfFoldRows],
    samples: Samples,
    calibration: Calibration,
    test: Rows | None = None,
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
    """
    if calibration.least_effective_rows is None:
        return CalibrationFit()
    if not judged:
        return CalibrationFit(why_not="no fold before this one")
    every = OutOfFoldRows(
        np.concatenate([each.rows for each in judged]),
        np.concatenate([each.probability for each in judged]),
        np.concatenate([each.label for each in judged]),
    )
    every = every.take(samples.weight[every.rows] > 0)
    if test is not None:
        kept = purge(every.rows, test, samples.time, samples.ends_at).train
        every = every.take(np.isin(every.rows, kept))
    distinct = np.unique(every.rows)
    effective, least = _effective(samples, distinct), calibration.least_effective_rows
    if effective < least:
        why_not = f"{effective:.1f} effective rows of the {least:g} that it needs"
        return CalibrationFit(why_not=why_not)
    missing = [name for k, name in enumerate(samples.classes) if not (every.label == k).any()]
    if missing:
        return CalibrationFit(why_not=f"no row of {', '.join(missing)}")
    weight = _shared(samples, every.rows)
    return CalibrationFit(calibration.fit(every.probability, every.label, weight), len(distinct))


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


def _shared(samples: Samples, rows: Rows) -> Floats:
    """Weight of each row, by how often it is there and how many markets share its moment."""
    distinct, place, times = np.unique(rows, return_inverse=True, return_counts=True)
    keys = samples.index[distinct]
    market = pd.Series(np.asarray(keys.get_level_values("market")))
    markets = market.groupby(np.asarray(keys.get_level_values("time"))).transform("nunique")
    share: Floats = samples.weight[distinct] / times / markets.to_numpy("float64")
    return share[place]


def _effective(samples: Samples, rows: Rows) -> float:
    """Of the market that has most: several at one moment tell no more than one."""
    market = samples.index[rows].get_level_values("market")
    return float(pd.Series(samples.weight[rows]).groupby(np.asarray(market)).sum().max())
