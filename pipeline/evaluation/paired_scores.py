"""What two versions scored on the rows that both predicted, figure by figure.

With y the class that happened and p the probabilities of a row; all are losses, lower is better:

=========  ====================================================================
log_loss   -log p[y], in nats; p clipped to [1e-15, 1]
brier      squared distance of p from what happened
direction  the same of sell against buy, on the rows that moved alone
=========  ====================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.evaluation.bootstrap import SEED, Floats, blocks_of, drawn_sums, interval
from pipeline.evaluation.comparison import OutOfFold
from pipeline.evaluation.measures import brier, log_loss
from pipeline.evaluation.metrics import MOVES, direction_rows, probabilities
from registry.conditions import GateConfig
from registry.evidence import Word, word_of

FEWEST_MOMENTS = GateConfig().min_common_rows
LOSSES = {"log_loss": log_loss, "brier": brier}
DIRECTION = "direction"


@dataclass(frozen=True, slots=True)
class Gap:
    """One mean loss less another, with the ends of its 90 % interval; below 0 the first is better.

    The interval is the block bootstrap's, of paired rows; `enough` says whether they stand on
    `FEWEST_MOMENTS` candles or more.
    """

    value: float
    low: float
    high: float
    enough: bool

    @property
    def word(self) -> Word:
        """What the interval says of the first; on too few candles it says nothing."""
        return word_of(-self.high, -self.low) if self.enough else "undecidable"


@dataclass(frozen=True, slots=True)
class PairedScore:
    """Mean loss of two versions on `rows` in common, and of the class shares, the usual.

    `difference` is ours less theirs; both are held against the usual as well.
    """

    rows: int
    ours: float
    theirs: float
    usual: float
    difference: Gap
    ours_to_usual: Gap
    theirs_to_usual: Gap


def paired_scores(ours: OutOfFold, theirs: OutOfFold, timeframe: str) -> dict[str, PairedScore]:
    """Score two versions on their common rows whose outcome they tell alike.

    Parameters
    ----------
    ours, theirs
        With ``base_<class>`` in the frame of `theirs`: shares that both have to be better than.

    Returns
    -------
    dict
        ``log_loss`` and ``brier``, and ``direction`` of classes sell and buy among others; nothing
        where no row is in common.
    """
    common = ours.frame.index.intersection(theirs.frame.index).sort_values()
    mine, other = ours.frame.loc[common], theirs.frame.loc[common]
    agreed = (mine["label"] == other["label"]).to_numpy(bool)
    base = [f"base_{name}" for name in theirs.classes]
    other = other[agreed]
    mine = mine[agreed].drop(columns=base, errors="ignore").join(other[base])
    found = _losses(mine, other, theirs.classes, timeframe)
    if {*MOVES} < {*theirs.classes}:
        moved = [direction_rows(each, theirs.classes) for each in (mine, other)]
        among_moves = _losses(moved[0], moved[1], MOVES, timeframe)
        found |= {DIRECTION: among_moves["brier"]} if among_moves else {}
    return found


def _losses(
    mine: pd.DataFrame, other: pd.DataFrame, classes: tuple[str, ...], timeframe: str
) -> dict[str, PairedScore]:
    if mine.empty:
        return {}
    happened = other["label"].to_numpy("int64")
    said = [probabilities(each, classes) for each in (mine, other)]
    said.append(probabilities(other, classes, "base"))
    return {
        name: _score([loss(each, happened) for each in said], other, timeframe)
        for name, loss in LOSSES.items()
    }


def _score(losses: list[Floats], rows: pd.DataFrame, timeframe: str) -> PairedScore:
    ours, theirs, usual = losses
    blocks = blocks_of(rows, timeframe)
    gaps = np.column_stack([ours - theirs, ours - usual, theirs - usual])
    columns = np.column_stack([gaps, np.ones(len(gaps))])
    sums = drawn_sums(columns, blocks, np.random.default_rng(SEED))
    told = [
        Gap(
            float(gaps[:, k].mean()),
            *interval(sums[:, k] / sums[:, -1], blocks.widening),
            enough=blocks.moments >= FEWEST_MOMENTS,
        )
        for k in range(gaps.shape[1])
    ]
    means = [float(each.mean()) for each in losses]
    return PairedScore(len(rows), means[0], means[1], means[2], told[0], told[1], told[2])
