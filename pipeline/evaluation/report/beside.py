"""Scores beside their baselines, and whether a difference is more than luck."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.effective import ONE_SIDED_95
from pipeline.evaluation.metrics import average_precision, balanced_accuracy, log_loss
from pipeline.evaluation.report.facts import HeadFacts

Rows = npt.NDArray[np.intp]
Statistic = Callable[[Rows], float]
Word = Literal["better", "worse", "cannot tell"]
MOST_BLOCKS = 40
LEAST_ROWS = 2.0


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
    """Every score of a head beside its baseline.

    The Brier skill has the gate's own interval. The others' error is a delete-one-block
    jackknife over as many contiguous blocks of time as there are independent rows, at most 40
    (Kunsch 1989, The jackknife and the bootstrap for general stationary observations).
    """
    skill, low = head.scores["brier_skill"], head.scores["brier_skill_low"]
    interval = (skill, low, 2 * skill - low)
    found = [Comparison("brier_skill", skill, 0.0, *interval, word_of(head, *interval[1:]))]
    for name, (value, baseline, statistic) in _statistics(head).items():
        gain = statistic(np.arange(len(head.joined)))
        reach = ONE_SIDED_95 * jackknife_error(statistic, _blocks(head))
        ends = (gain - reach, gain + reach)
        found.append(Comparison(name, value, baseline, gain, *ends, word_of(head, *ends)))
    return found


def word_of(head: HeadFacts, low: float, high: float) -> Word:
    """What an interval of a gain says; nothing where the gate found too few rows to tell."""
    if head.undecidable or head.scores["effective_rows"] < LEAST_ROWS:
        return "cannot tell"
    return "better" if low > 0 else "worse" if high < 0 else "cannot tell"


def jackknife_error(statistic: Statistic, blocks: list[Rows]) -> float:
    """Standard error of a statistic of rows, leaving out one block after the other.

    Examples
    --------
    >>> values = np.array([1.0, 2.0, 4.0, 5.0])
    >>> error = jackknife_error(lambda rows: values[rows].mean(), np.split(np.arange(4), 4))
    >>> bool(np.isclose(error, values.std(ddof=1) / np.sqrt(4)))
    True
    """
    every = np.concatenate(blocks)
    left = np.array([statistic(np.setdiff1d(every, block)) for block in blocks])
    many = len(blocks)
    return float(np.sqrt((many - 1) / many * ((left - left.mean()) ** 2).sum()))


def _blocks(head: HeadFacts) -> list[Rows]:
    many = int(np.clip(head.scores["effective_rows"], LEAST_ROWS, MOST_BLOCKS))
    in_time = np.argsort(np.asarray(head.time), kind="stable")
    return [block for block in np.array_split(in_time, many) if len(block)]


def _statistics(head: HeadFacts) -> dict[str, tuple[float, float, Statistic]]:
    """Value, baseline and gain over any rows, by the score's name."""
    scores, happened = head.scores, head.happened
    probability, base = head.probability, head.base
    said, usual = probability.argmax(axis=1), base.argmax(axis=1)
    right = (said == happened).astype("float64") - (usual == happened)
    base_loss = log_loss(base, happened)
    saved = base_loss - log_loss(probability, happened)

    def chance(rows: Rows) -> float:
        return 1 / max(len(np.unique(happened[rows])), 1)

    everything = chance(np.arange(len(happened)))
    return {
        "accuracy": (
            scores["accuracy"],
            scores["majority_accuracy"],
            lambda rows: float(right[rows].mean()),
        ),
        "balanced_accuracy": (
            scores["balanced_accuracy"],
            everything,
            lambda rows: balanced_accuracy(said[rows], happened[rows]) - chance(rows),
        ),
        "log_loss": (
            scores["log_loss"],
            float(base_loss.mean()),
            lambda rows: float(saved[rows].mean()),
        ),
        "average_precision": (
            scores["average_precision"],
            everything,
            lambda rows: average_precision(probability[rows], happened[rows]) - chance(rows),
        ),
    }
