"""Scores of each fold, and probabilities against what happened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.effective import ONE_SIDED_95
from pipeline.evaluation.metrics import log_loss
from pipeline.evaluation.report.facts import Floats, HeadFacts

BINS = 10


@dataclass(frozen=True, slots=True)
class Gain:
    """Mean gain over a baseline; `reach` is the half width of its interval, 5 % on either side."""

    mean: float
    reach: float


@dataclass(frozen=True, slots=True)
class FoldScore:
    """One fold's test, scored beside its baseline; gains are above 0 where the model is better."""

    name: str
    first: pd.Timestamp
    last: pd.Timestamp
    rows: int
    accuracy: float
    accuracy_gain: Gain
    log_loss: float
    log_loss_gain: Gain


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows that were given about the same probability of a class."""

    said: float
    happened: float
    rows: int
    reach: float


def fold_scores(head: HeadFacts) -> list[FoldScore]:
    """Accuracy and log loss of each fold beside its baseline, in order of time."""
    happened, probability, base = head.happened, head.probability, head.base
    hits = (probability.argmax(axis=1) == happened).astype("float64")
    usual = (base.argmax(axis=1) == happened).astype("float64")
    loss, base_loss = log_loss(probability, happened), log_loss(base, happened)
    found = []
    folds = head.joined["fold"].to_numpy()
    for fold in pd.unique(folds):
        rows = np.flatnonzero(folds == fold)
        time = head.time[rows]
        found.append(
            FoldScore(
                name=f"fold {fold}",
                first=time.min(),
                last=time.max(),
                rows=len(rows),
                accuracy=float(hits[rows].mean()),
                accuracy_gain=_gain((hits - usual)[rows], head.worth),
                log_loss=float(loss[rows].mean()),
                log_loss_gain=_gain((base_loss - loss)[rows], head.worth),
            )
        )
    return sorted(found, key=lambda score: score.first)


def reliability(said: Floats, happened: npt.NDArray[np.bool_], worth: float) -> list[Bin]:
    """How often a class happened among rows that were given about the same probability of it.

    Parameters
    ----------
    said
        Probability given to the class, shape (rows,).
    happened
        Whether it happened, shape (rows,).
    worth
        How many independent rows one row is worth.

    Returns
    -------
    list of Bin
        The tenths of [0, 1] that hold rows; `reach` is the half width of a 90 % interval.

    Examples
    --------
    >>> found = reliability(np.array([0.32, 0.38, 0.9]), np.array([True, False, True]), 1.0)
    >>> [(round(each.said, 2), each.happened, each.rows) for each in found]
    [(0.35, 0.5, 2), (0.9, 1.0, 1)]
    """
    tenth = np.minimum((said * BINS).astype("int64"), BINS - 1)
    found = []
    for number in np.unique(tenth):
        inside = tenth == number
        rows, share = int(inside.sum()), float(happened[inside].mean())
        independent = max(rows * worth, 1.0)
        # Agresti and Coull (1998): two hits and two misses more, so that no share is certain
        eased = (share * independent + 2) / (independent + 4)
        reach = ONE_SIDED_95 * float(np.sqrt(eased * (1 - eased) / (independent + 4)))
        found.append(Bin(float(said[inside].mean()), share, rows, reach))
    return found


def _gain(gains: Floats, worth: float) -> Gain:
    error = float(gains.std()) / np.sqrt(max(len(gains) * worth, 1.0))
    return Gain(float(gains.mean()), float(ONE_SIDED_95 * error))
