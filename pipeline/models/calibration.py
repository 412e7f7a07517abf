"""Calibration: what a model's probabilities turned out to be worth, learnt from judged rows.

Each class is calibrated against all others, then a row's classes are scaled to sum to 1
(Zadrozny & Elkan, "Transforming classifier scores into accurate multiclass probability
estimates", 2002). No calibration turns a model's order of rows around.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline.build import TARGET
from pipeline.config import Node, Record
from pipeline.models.base import Floats

Classes = npt.NDArray[np.int8]
Least = Annotated[float, Field(gt=0, description="judged rows to learn from, by weight")]
SMALLEST = 1e-6  # of a probability, so that its log odds are finite
DIGITS = 12  # of a probability; what differs further behind is the same prediction
STEPS = 100
PRECISION = 1e-10  # of a step, in log odds
HALVINGS = 40


class Calibrator(Protocol):
    """What was learnt: plain figures that turn a model's probabilities into others."""

    def apply(self, probability: Floats) -> Floats:
        """Calibrated probabilities, shape (rows, classes), summing to 1."""
        ...

    def model_dump(self) -> dict[str, Any]:
        """The figures as JSON values."""
        ...


class Forgetting(NamedTuple):
    """How a calibration follows a market that changes.

    It is fitted anew every so many days, and a row's weight halves in `half_life_days`.
    """

    every_days: float
    half_life_days: float


class Calibration(Protocol):
    """A way of calibrating, before it has learnt anything."""

    @property
    def least_effective_rows(self) -> float | None:
        """Judged rows that it needs, counted by weight; None where it calibrates nothing."""
        ...

    @property
    def forgetting(self) -> Forgetting | None:
        """None where a fold is calibrated once, on all rows of the folds before it alike."""
        ...

    def fit(self, probability: Floats, label: Classes, weight: Floats) -> Calibrator:
        """Learn from a model's probabilities, shape (rows, classes), of rows that were judged."""
        ...


def calibrator_node(calibrator: Calibrator) -> Node:
    """A calibrator as the JSON values that `pipeline.build.build` reads back."""
    kind = type(calibrator)
    return {TARGET: f"{kind.__module__}.{kind.__qualname__}", **calibrator.model_dump()}


class NoCalibration(Record):
    """Probabilities stay as the model gives them."""

    @property
    def least_effective_rows(self) -> None:
        """None: it calibrates nothing."""
        return None

    @property
    def forgetting(self) -> None:
        """None: it has nothing to forget."""
        return None

    def fit(self, probability: Floats, label: Classes, weight: Floats) -> Calibrator:  # noqa: ARG002
        """Nothing is learnt."""
        return Unchanged()


class Unchanged(Record):
    """The same probabilities."""

    def apply(self, probability: Floats) -> Floats:
        """The same probabilities."""
        return probability


class Sigmoid(Record):
    """Platt scaling of the log odds: ``1 / (1 + exp(-(slope * log odds + intercept)))``.

    Fitted by weighted likelihood against Platt's targets, (n + 1) / (n + 2) for the n rows of the
    class and 1 / (m + 2) for the m others (Platt, "Probabilistic outputs for support vector
    machines", 1999), n and m counted by weight. A slope is never below 0.
    """

    least_effective_rows: Least

    @property
    def forgetting(self) -> None:
        """None: every earlier row counts alike."""
        return None

    def fit(self, probability: Floats, label: Classes, weight: Floats) -> Sigmoids:
        """Slope and intercept of each class."""
        lines = [_line(_log_odds(one), label == k, weight) for k, one in enumerate(probability.T)]
        slopes, intercepts = zip(*lines, strict=True)
        return Sigmoids(slopes=slopes, intercepts=intercepts)


class Sigmoids(Record):
    """A line through the log odds of each class."""

    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]

    def apply(self, probability: Floats) -> Floats:
        """Calibrated probabilities.

        Examples
        --------
        >>> unchanged = Sigmoids(slopes=(1, 1), intercepts=(0, 0))
        >>> unchanged.apply(np.array([[0.25, 0.75]])).round(9).tolist()
        [[0.25, 0.75]]
        """
        odds = _log_odds(probability) * np.array(self.slopes) + np.array(self.intercepts)
        return _summing_to_one(_share(odds))


class Isotonic(Record):
    """The best rising staircase, by weighted squares (pool adjacent violators), for each class.

    Between its corners the line is straight. No share is nearer to 0 or 1 than Platt's targets:
    what was never seen in n rows, counted by weight, happens with 1 / (n + 2).
    """

    least_effective_rows: Least

    @property
    def forgetting(self) -> None:
        """None: every earlier row counts alike."""
        return None

    def fit(self, probability: Floats, label: Classes, weight: Floats) -> Staircases:
        """The corners of each class."""
        found = [_staircase(one, label == k, weight) for k, one in enumerate(probability.T)]
        at, shares = zip(*found, strict=True)
        return Staircases(at=at, shares=shares)


class Staircases(Record):
    """The corners of each class: a model's probabilities, rising, and what they are worth."""

    at: tuple[tuple[float, ...], ...]
    shares: tuple[tuple[float, ...], ...]

    def apply(self, probability: Floats) -> Floats:
        """Calibrated probabilities; beyond the corners as at the nearest one.

        Examples
        --------
        >>> found = Staircases(at=((0.2, 0.4),) * 2, shares=((0.3, 0.5),) * 2)
        >>> found.apply(np.array([[0.3, 0.7]])).round(3).tolist()
        [[0.444, 0.556]]
        """
        lines = zip(probability.T, self.at, self.shares, strict=True)
        shares = [np.interp(one, at, worth) for one, at, worth in lines]
        return _summing_to_one(np.column_stack(shares))


def _log_odds(probability: Floats) -> Floats:
    inside = np.clip(probability, SMALLEST, 1 - SMALLEST)
    odds: Floats = np.log(inside / (1 - inside))
    return odds


def _share(odds: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -odds))


def _summing_to_one(shares: Floats) -> Floats:
    summing: Floats = shares / shares.sum(axis=1, keepdims=True)
    return summing


def _targets(happened: npt.NDArray[np.bool_], weight: Floats) -> tuple[float, float]:
    """Platt's targets of the rows where it did not happen, and where it did."""
    yes, no = float(weight[happened].sum()), float(weight[~happened].sum())
    return 1 / (no + 2), (yes + 1) / (yes + 2)


def _line(odds: Floats, happened: npt.NDArray[np.bool_], weight: Floats) -> tuple[float, float]:
    low, high = _targets(happened, weight)
    target = np.where(happened, high, low)
    slope, intercept = _newton(np.column_stack([odds, np.ones_like(odds)]), target, weight)
    if slope >= 0:
        return float(slope), float(intercept)
    return 0.0, float(_log_odds(np.average(target, weights=weight)))


def _newton(columns: Floats, target: Floats, weight: Floats) -> Floats:
    """Logistic regression by Newton's steps, halved until the loss does not rise."""
    found = np.zeros(columns.shape[1])
    loss = _loss(columns @ found, target, weight)
    for _ in range(STEPS):
        share = _share(columns @ found)
        gradient = columns.T @ (weight * (share - target))
        curvature = columns.T @ (columns * (weight * share * (1 - share))[:, None])
        step = np.linalg.lstsq(curvature, gradient)[0]
        for _ in range(HALVINGS):
            reached = _loss(columns @ (found - step), target, weight)
            if reached <= loss:
                break
            step = step / 2
        else:
            return found
        found, loss = found - step, reached
        if np.abs(step).max() < PRECISION:
            break
    return found


def _loss(odds: Floats, target: Floats, weight: Floats) -> float:
    return float(weight @ (np.logaddexp(0, odds) - target * odds))


def _staircase(
    probability: Floats, happened: npt.NDArray[np.bool_], weight: Floats
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    total = float(weight.sum())
    at, places = np.unique(probability.round(DIGITS), return_inverse=True)
    weights = np.bincount(places, weight).astype("float64")
    shares = np.bincount(places, weight * happened) / weights
    shares = np.clip(_pooled(shares, weights), 1 / (total + 2), (total + 1) / (total + 2))
    corner = np.ones(len(at), np.bool_)
    corner[1:-1] = (shares[1:-1] != shares[:-2]) | (shares[1:-1] != shares[2:])
    return tuple(at[corner].tolist()), tuple(shares[corner].tolist())


def _pooled(shares: Floats, weights: Floats) -> Floats:
    """Means of neighbours that do not rise, pooled until all do (Barlow et al., 1972)."""
    pools: list[tuple[float, float, int]] = []
    for share, weight in zip(shares.tolist(), weights.tolist(), strict=True):
        pool = (share, weight, 1)
        while pools and pools[-1][0] >= pool[0]:
            before, heavy, long = pools.pop()
            both = heavy + pool[1]
            pool = ((before * heavy + pool[0] * pool[1]) / both, both, long + pool[2])
        pools.append(pool)
    means, _, lengths = zip(*pools, strict=True)
    return np.repeat(means, lengths)
