"""Calibration that forgets: what probabilities are worth now, not what they were worth on average.

Markets change how often price holds, rises and falls. A calibrator of all earlier rows answers for
all of them; this one gives recent rows more weight, and learns anew as outcomes become known.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from pipeline.config import Record
from pipeline.models.base import Floats
from pipeline.models.calibration import (
    HALVINGS,
    PRECISION,
    SMALLEST,
    STEPS,
    Classes,
    Forgetting,
)
from pipeline.models.class_weight import ClassWeights, unweighed

MOST_INFORMATION = 0.25  # of a row on an intercept, p (1 - p), where p is 1/2


class RecentScaling(Record):
    """One slope for the log probabilities of all classes, and an intercept for each.

    ``softmax(slope * log(p) + intercept)``, fitted by weighted likelihood (bias-corrected
    temperature scaling: Alexandari, Kundaje & Shrikumar, 2020) with normal priors around slope 1
    and intercepts 0, each as strong as `prior_rows` rows that say most of an intercept (p = 1/2).
    So few rows change little, and no class needs to have happened. A slope is never below 0. Class
    weights of the model's fit are taken back first: a prior of no change is one of probabilities.
    """

    half_life_days: Annotated[float, Field(gt=0, description="days; a row's weight halves in them")]
    every_days: Annotated[float, Field(gt=0, description="days from one fit to the next")]
    prior_rows: Annotated[float, Field(gt=0, description="rows that hold against any change")]

    @property
    def least_effective_rows(self) -> float:
        """None is too few: the prior speaks then."""
        return 0.0

    @property
    def forgetting(self) -> Forgetting:
        """How it follows the market."""
        return Forgetting(self.every_days, self.half_life_days)

    def fit(self, probability: Floats, label: Classes, weight: Floats) -> Scaling:
        """The slope and the intercepts; see `Calibration`."""
        rows = _Rows(_logs(probability), np.eye(probability.shape[1])[label], weight)
        prior = np.array([1.0, *np.zeros(probability.shape[1])])
        slope, *intercepts = _best(rows, prior, self.prior_rows * MOST_INFORMATION).tolist()
        return Scaling(slope=max(slope, 0.0), intercepts=tuple(intercepts))

    def after_weights(self, weights: ClassWeights, learnt: Scaling | None) -> UnweighedScaling:
        """What takes class weights back before it scales; see `TakesWeightsBack`."""
        unchanged = Scaling(slope=1.0, intercepts=(0.0,) * len(weights))
        return UnweighedScaling(weights=weights, **(learnt or unchanged).model_dump())


class Scaling(Record):
    """What was learnt: see `RecentScaling`."""

    slope: float
    intercepts: tuple[float, ...]

    def apply(self, probability: Floats) -> Floats:
        """Calibrated probabilities.

        Examples
        --------
        >>> unchanged = Scaling(slope=1, intercepts=(0, 0))
        >>> unchanged.apply(np.array([[0.25, 0.75]])).round(9).tolist()
        [[0.25, 0.75]]
        """
        return _softmax(self.slope * _logs(probability) + np.array(self.intercepts))


class UnweighedScaling(Record):
    """What was learnt of a model whose fit weighs classes, and those weights."""

    weights: tuple[float, ...]
    slope: float
    intercepts: tuple[float, ...]

    def apply(self, probability: Floats) -> Floats:
        """Calibrated probabilities.

        Examples
        --------
        >>> found = UnweighedScaling(weights=(1, 3), slope=1, intercepts=(0, 0))
        >>> found.apply(np.array([[0.25, 0.75]])).round(9).tolist()
        [[0.5, 0.5]]
        """
        scaling = Scaling(slope=self.slope, intercepts=self.intercepts)
        return scaling.apply(unweighed(probability, self.weights))


class _Rows(NamedTuple):
    """Log probabilities, what came true as ones among zeros, and weights."""

    logs: Floats
    happened: Floats
    weight: Floats


def _best(rows: _Rows, prior: Floats, strength: float) -> Floats:
    """Newton's steps, halved until the loss does not rise; it is convex."""
    found, loss = prior, _loss(prior, rows)
    for _ in range(STEPS):
        step = _step(found, prior, strength, rows)
        for _ in range(HALVINGS):
            pull = strength / 2 * float(((found - step - prior) ** 2).sum())
            reached = _loss(found - step, rows) + pull
            if reached <= loss:
                break
            step = step / 2
        else:
            return found
        found, loss = found - step, reached
        if np.abs(step).max() < PRECISION:
            break
    return found


def _loss(figures: Floats, rows: _Rows) -> float:
    odds = figures[0] * rows.logs + figures[1:]
    top = odds.max(axis=1, keepdims=True)
    total = np.log(np.exp(odds - top).sum(axis=1)) + top[:, 0]
    return float(rows.weight @ (total - (odds * rows.happened).sum(axis=1)))


def _step(found: Floats, prior: Floats, strength: float, rows: _Rows) -> Floats:
    logs, weight = rows.logs, rows.weight[:, None]
    share = _softmax(found[0] * logs + found[1:])
    over = weight * (share - rows.happened)
    gradient = np.array([(over * logs).sum(), *over.sum(axis=0)]) + strength * (found - prior)
    spread = weight * share * (logs - (share * logs).sum(axis=1, keepdims=True))
    curvature = np.diag(np.full(len(found), strength))
    curvature[0, 0] += (spread * logs).sum()
    curvature[0, 1:] += spread.sum(axis=0)
    curvature[1:, 0] = curvature[0, 1:]
    weighed = weight * share
    curvature[1:, 1:] += np.diag(weighed.sum(axis=0)) - weighed.T @ share
    step: Floats = np.asarray(np.linalg.solve(curvature, gradient), np.float64)
    return step


def _logs(probability: Floats) -> Floats:
    return np.log(np.maximum(probability, SMALLEST))


def _softmax(odds: Floats) -> Floats:
    shares = np.exp(odds - odds.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float64)
