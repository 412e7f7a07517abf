"""Scores beside their baselines, and whether a difference is more than luck."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline.evaluation.baselines import MAJORITY
from pipeline.evaluation.report.facts import HeadFacts

Word = Literal["better", "worse", "cannot tell"]
Metric = Mapping[str, Any]
LOWER_IS_BETTER = frozenset({"log_loss"})
COIN = 0.5  # of an area under the curve


@dataclass(frozen=True, slots=True)
class Comparison:
    """One score beside its baseline; `gain` is above 0 where the model is better.

    [`low`, `high`] holds the true gain but for 5 % on either side.
    """

    name: str
    value: float
    baseline: float
    gain: float
    low: float
    high: float
    word: Word


def comparisons(head: HeadFacts) -> list[Comparison]:
    """Every score of a head beside its baseline, with the interval of its block bootstrap."""
    return [
        compared(name, head.metrics[name], baseline(head, head.metrics[name]), head.too_few)
        for name, baseline in BASELINES.items()
        if name in head.metrics
    ]


def compared(name: str, metric: Metric, baseline: float, too_few: bool = False) -> Comparison:
    """One figure as `pipeline.evaluation.scorecard` tells it beside a baseline.

    Examples
    --------
    >>> compared("log_loss", {"value": 1.0, "low": 0.9, "high": 1.2}, 1.25).word
    'better'
    """
    sign = -1.0 if name in LOWER_IS_BETTER else 1.0
    value, *ends = (_number(metric[key]) for key in ("value", "low", "high"))
    low, high = sorted(sign * (end - baseline) for end in ends)
    word = "cannot tell" if too_few else word_of(low, high)
    return Comparison(name, value, baseline, sign * (value - baseline), low, high, word)


def word_of(low: float, high: float) -> Word:
    """What an interval of a gain says.

    Examples
    --------
    >>> word_of(-0.2, -0.1), word_of(float("nan"), float("nan"))
    ('worse', 'cannot tell')
    """
    return "better" if low > 0 else "worse" if high < 0 else "cannot tell"


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _nothing(head: HeadFacts, metric: Metric) -> float:  # noqa: ARG001
    return 0.0


def _coin(head: HeadFacts, metric: Metric) -> float:  # noqa: ARG001
    return COIN


def _majority(head: HeadFacts, metric: Metric) -> float:  # noqa: ARG001
    return _number(metric["baselines"].get(MAJORITY))


def _chance(head: HeadFacts, metric: Metric) -> float:  # noqa: ARG001
    return 1 / max(len(np.unique(head.happened)), 1)


BASELINES: dict[str, Callable[[HeadFacts, Metric], float]] = {
    "brier_skill": _nothing,
    "skill_over_climatology": _nothing,
    "accuracy": _majority,
    "balanced_accuracy": _chance,
    "log_loss": _majority,
    "average_precision": _chance,
    "direction_skill": _nothing,
    "direction_auc": _coin,
}
