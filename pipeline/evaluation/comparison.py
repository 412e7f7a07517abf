"""Evidence for a gate: a candidate beside its baselines and beside the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.evaluation.metrics import Floats, log_loss


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """A head's out-of-fold predictions joined with what happened, and its label's declaration."""

    frame: pd.DataFrame
    classes: tuple[str, ...]
    label: object


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate against champion on the rows both predicted out of fold."""

    comparable: bool
    why_not: str
    common_rows: int
    log_loss_difference: float


def compare(candidate: Mapping[str, OutOfFold], champion: Mapping[str, OutOfFold]) -> Difference:
    """Mean log loss of the candidate minus the champion's, over the rows both have.

    Only out-of-fold against out-of-fold on common rows is evidence; heads that differ in
    name, classes or label are no common ground, nor are rows whose outcome both tell
    differently because the candles were revised in between, or a label learned from other rows.
    """
    if sorted(candidate) != sorted(champion):
        return Difference(False, "the heads differ", 0, 0.0)
    parts = []
    for head, ours in candidate.items():
        theirs = champion[head]
        if (ours.classes, ours.label) != (theirs.classes, theirs.label):
            return Difference(False, f"the label of head {head} differs", 0, 0.0)
        parts.append(_differences(ours, theirs))
    every = np.concatenate(parts)
    if len(every) == 0:
        return Difference(False, "no candle was predicted out of fold by both", 0, 0.0)
    return Difference(True, "", len(every), float(every.mean()))


def _differences(ours: OutOfFold, theirs: OutOfFold) -> Floats:
    common = ours.frame.index.intersection(theirs.frame.index)
    mine, other = ours.frame.loc[common], theirs.frame.loc[common]
    agreed = mine["label"].to_numpy() == other["label"].to_numpy()
    return _losses(mine[agreed], ours.classes) - _losses(other[agreed], ours.classes)


def _losses(rows: pd.DataFrame, classes: tuple[str, ...]) -> Floats:
    probability = rows[[f"p_{name}" for name in classes]].to_numpy("float64")
    return log_loss(probability, rows["label"].to_numpy("int64"))
