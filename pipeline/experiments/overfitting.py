"""Whether the ranking of what was tried holds on time that did not make it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.evaluation.overfitting import loss_overfitting_probability, overfitting_probability
from pipeline.experiments.blocks import BLOCKS, Floats
from pipeline.experiments.study import ScoredOn, Tried

FEWEST = 10  # configurations: of fewer, the middle says little
FEWEST_DAYS, FEWEST_BLOCKS = 5, 4  # days in each block of daily returns
HOLDS, BLIND = 0.1, 0.4


@dataclass(frozen=True, slots=True)
class Overfitting:
    """The probability, or why there is none.

    Of so many configurations, judged on so many blocks of time; `left_out` have no scores there.
    """

    probability: float | None
    configurations: int
    blocks: int
    left_out: int
    why_not: str = ""

    def facts(self) -> dict[str, Any]:
        """All of it and the sentence, ready for JSON."""
        return {**asdict(self), "sentence": self.sentence()}

    def sentence(self) -> str:
        """What a person needs to know of it.

        Examples
        --------
        >>> Overfitting(0.5, 12, 16, 0).sentence()[:58]
        'With a probability of 50 % the best of 12 configurations o'
        """
        if self.probability is None:
            return f"How far the ranking is luck cannot be told: {self.why_not}."
        out = f"; {self.left_out} without scores on all of it left out" if self.left_out else ""
        return (
            f"With a probability of {100 * self.probability:.0f} % the best of "
            f"{self.configurations} configurations on one half of the time is no better than the "
            f"middle of them on the other half ({self.blocks} blocks of time, every way to halve "
            f"them{out}): {_meaning(self.probability)}."
        )


def overfitting(trials: Sequence[Tried], scored: ScoredOn) -> Overfitting:
    """Judge the trials of a study by the log loss that it ranks by.

    A configuration that was tried twice counts once. Those cut short or failed are left out.
    """
    kept = {trial.digest: trial.block_losses for trial in trials if trial.block_losses}
    left_out = len({trial.digest for trial in trials} - {*kept})
    rows = np.array(list(scored.block_rows.values()))
    if why := _why_not(len(kept)) or _too_few_rows(rows, scored):
        return Overfitting(None, len(kept), BLOCKS, left_out, why)
    losses = np.array(
        [[each[head] for each in kept.values()] for head in scored.block_rows]
    ).transpose(0, 2, 1)
    return Overfitting(loss_overfitting_probability(losses, rows), len(kept), BLOCKS, left_out)


def overfitting_of_returns(returns: Floats, left_out: int) -> Overfitting:
    """Judge configurations by the Sharpe ratio of daily returns, shape (days, configurations)."""
    days, configurations = returns.shape
    blocks = min(BLOCKS, days // FEWEST_DAYS // 2 * 2)
    why = _why_not(configurations)
    if not why and blocks < FEWEST_BLOCKS:
        why = f"{days} common days are too few to be cut into blocks of {FEWEST_DAYS}"
    if why:
        return Overfitting(None, configurations, blocks, left_out, why)
    probability = overfitting_probability(returns, blocks)
    return Overfitting(probability, configurations, blocks, left_out)


def _why_not(configurations: int) -> str:
    if configurations >= FEWEST:
        return ""
    one = configurations == 1
    return (
        f"{configurations} {'configuration was' if one else 'configurations were'} scored on all "
        f"of the time, and it takes {FEWEST}"
    )


def _too_few_rows(rows: Floats, scored: ScoredOn) -> str:
    if not rows.size:
        return "this study was begun before scores were kept by block"
    if not (rows > 0).all():
        return f"a head has no out-of-fold rows in some of {BLOCKS} blocks of time"
    if (fewest := min(scored.independent.values())) < BLOCKS:
        return (
            f"the out-of-fold rows are worth {fewest:.3g} independent ones, fewer than the "
            f"{BLOCKS} blocks of time they would be cut into"
        )
    return ""


def _meaning(probability: float) -> str:
    if probability <= HOLDS:
        return "the ranking holds on time that did not make it"
    if probability < BLIND:
        return "the ranking holds in part, and its best score is flattered"
    return "choosing by this score is about as good as choosing blindly"
