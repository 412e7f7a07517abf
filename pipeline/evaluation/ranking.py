"""Figures that rest on the order of scores, over rows and over rows drawn again.

Rows of equal score share what they find: no figure depends on how ties are broken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.bootstrap import Blocks, draw_counts
from pipeline.kernels import kernel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
SAME_SCORE = 12  # decimals


@dataclass(frozen=True, slots=True)
class Ranked:
    """Figures of one score against whether something happened, each of shape (1 + draws,).

    The first is that of the rows themselves; NaN where it cannot be told.
    """

    auc: Floats
    average_precision: Floats
    precision_at_k: Floats
    recall_at_k: Floats


def ranked(
    score: Floats, happened: npt.NDArray[np.bool_], share: float, blocks: Blocks, seed: int
) -> Ranked:
    """How well the highest scores find what happened.

    Parameters
    ----------
    score
        Higher where it is thought likelier, shape (rows,).
    happened
        Whether it did, shape (rows,).
    share
        K as a share of the rows: the base rate known before, so that K is how often it would
        have been expected.

    Returns
    -------
    Ranked
        Area under the receiver operating characteristic (ties count half), average precision
        ``sum(precision * recall gained)`` from one score to the next, and precision and recall
        of the K rows with the highest scores.
    """
    order, last = _descending(score)
    drawn = np.empty((4, 1 + blocks.draws))
    rows = (blocks.moment[order], happened[order], last)
    counts = np.ones(blocks.moments, "int64")
    _rank_draws(rows, (share, blocks.length), np.random.default_rng(seed), counts, drawn)
    return Ranked(*drawn)


def rank_correlation(score: Floats, outcome: Ints, blocks: Blocks, seed: int) -> Floats:
    """Spearman's rank correlation of a score with what happened, shape (1 + draws,).

    Parameters
    ----------
    outcome
        Index of the class that happened, classes in order, shape (rows,).
    """
    order, last = _descending(-score)
    drawn = np.empty(1 + blocks.draws)
    rows = (blocks.moment[order], outcome[order], last)
    counts = np.ones(blocks.moments, "int64")
    _correlation_draws(rows, blocks.length, np.random.default_rng(seed), counts, drawn)
    return drawn


def _descending(score: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Rows by falling score, and whether each is the last of its score."""
    told = np.round(score, SAME_SCORE)
    order = np.argsort(-told, kind="stable")
    sorted_ = told[order]
    return order, np.append(sorted_[1:] != sorted_[:-1], True)


Rows = tuple[Ints, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]


@kernel
def _rank_draws(
    rows: Rows,
    share_and_length: tuple[float, float],
    rng: np.random.Generator,
    counts: Ints,
    drawn: Floats,
) -> None:
    """Fill `drawn`, shape (4, 1 + draws); `counts` starts as ones, the rows themselves."""
    share, length = share_and_length
    for draw in range(drawn.shape[1]):
        if draw:
            draw_counts(length, rng, counts)
        drawn[:, draw] = _rank(rows, share, counts)


@kernel
def _rank(rows: Rows, share: float, counts: Ints) -> tuple[float, float, float, float]:
    moment, happened, last = rows
    total = 0
    for row in range(len(moment)):
        total += counts[moment[row]]
    most = share * total
    seen = hits = group = found = 0
    pairs = precision = at_k = 0.0
    for row in range(len(moment)):
        count = counts[moment[row]]
        group += count
        found += count if happened[row] else 0
        if last[row]:
            missed = group - found
            pairs += missed * (hits + 0.5 * found)
            if seen < most:
                at_k += found if seen + group <= most else found * ((most - seen) / group)
            seen += group
            hits += found
            precision += found * hits / max(seen, 1)
            group = found = 0
    if hits == 0:
        return np.nan, np.nan, (0.0 if most > 0 else np.nan), np.nan
    auc = pairs / (hits * (total - hits)) if total > hits else np.nan
    return auc, precision / hits, (at_k / most if most > 0 else np.nan), at_k / hits


@kernel
def _correlation_draws(
    rows: tuple[Ints, Ints, npt.NDArray[np.bool_]],
    length: float,
    rng: np.random.Generator,
    counts: Ints,
    drawn: Floats,
) -> None:
    for draw in range(len(drawn)):
        if draw:
            draw_counts(length, rng, counts)
        drawn[draw] = _correlation(rows, counts)


@kernel
def _correlation(rows: tuple[Ints, Ints, npt.NDArray[np.bool_]], counts: Ints) -> float:
    """Pearson's correlation of mid-ranks, taken from their mean: half of all rows."""
    moment, outcome, last = rows
    classes = np.zeros(outcome.max() + 1, "int64")
    for row in range(len(moment)):
        classes[outcome[row]] += counts[moment[row]]
    half = 0.5 * classes.sum()
    ranks = np.cumsum(classes) - 0.5 * classes - half
    spread = (classes * ranks * ranks).sum()
    seen = group = 0
    inside = together = own = 0.0
    for row in range(len(moment)):
        count = counts[moment[row]]
        group += count
        inside += count * ranks[outcome[row]]
        if last[row]:
            rank = seen + 0.5 * group - half
            together += inside * rank
            own += group * rank * rank
            seen += group
            group, inside = 0, 0.0
    return together / np.sqrt(own * spread) if own > 0 and spread > 0 else np.nan
