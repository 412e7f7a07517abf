"""How often the best of many is no better than the middle of them on time that did not choose it.

Combinatorially symmetric cross-validation (Bailey, Borwein, López de Prado and Zhu 2017, The
probability of backtest overfitting, section 3): of each way to take half of the blocks of time,
the trial that is best there is ranked among all in the other half, and counts where its
``log(w / (1 - w))`` with ``w = rank / (trials + 1)`` is not above 0. Equal trials share the mean
of their ranks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np

from pipeline.evaluation.statistics import Floats

MOST_BLOCKS = 20  # 184,756 ways to take one half of them
AT_ONCE = 2048  # ways whose scores are held in memory


def overfitting_probability(returns: Floats, blocks: int = 16) -> float:
    """How often the highest Sharpe ratio of half the time is below the middle in the rest.

    The rows are cut into blocks of equal length, the oldest rows that fill none left out.

    Parameters
    ----------
    returns
        Of each trial at the same times, shape (rows, trials).
    blocks
        An even number, at most 20.

    Raises
    ------
    ValueError
        For fewer than two trials, a block without two rows, or an odd number of blocks.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> luck = rng.normal(0.0, 0.01, (320, 8))
    >>> overfitting_probability(luck + [0, 0, 0, 0, 0, 0, 0, 0.01], 8)
    0.0
    """
    length = len(returns) // blocks if _can_be_halved(blocks) else 0
    if length <= 1 or returns.shape[1] <= 1:
        raise ValueError(f"{returns.shape} returns cannot be cut into {blocks} blocks")
    cut = returns[len(returns) - length * blocks :].reshape(blocks, length, -1)
    sums = np.stack([cut.sum(axis=1), (cut**2).sum(axis=1)])
    return _below_the_middle(blocks, lambda half: _sharpes(half @ sums, length * blocks // 2))


def loss_overfitting_probability(losses: Floats, rows: Floats) -> float:
    """How often the lowest loss of half the time is above the middle in the rest.

    A trial's loss of a half is the mean over heads of the head's mean over its rows there.

    Parameters
    ----------
    losses
        Sums over the rows of a block, shape (heads, blocks, trials); an even number of blocks, at
        most 20.
    rows
        How many those are, shape (heads, blocks).

    Raises
    ------
    ValueError
        For fewer than two trials, a block without rows, or an odd number of blocks.

    Examples
    --------
    The second trial is the better one in every block of ten rows.

    >>> losses = np.array([[[7.0, 6.0], [7.1, 6.9], [6.8, 6.5], [7.2, 7.0]]])
    >>> loss_overfitting_probability(losses, np.full((1, 4), 10.0))
    0.0
    """
    _, blocks, trials = losses.shape
    if not _can_be_halved(blocks) or trials <= 1 or not (rows > 0).all():
        raise ValueError(f"{losses.shape} sums of losses cannot be halved")

    def measured(half: Floats) -> Floats:
        means: Floats = (half @ losses) / (rows @ half.T)[:, :, None]
        return -np.asarray(means.mean(axis=0))

    return _below_the_middle(blocks, measured)


def _can_be_halved(blocks: int) -> bool:
    return 1 < blocks <= MOST_BLOCKS and blocks % 2 == 0


def _below_the_middle(blocks: int, measured: Callable[[Floats], Floats]) -> float:
    """Share of the halves; `measured` gives scores (ways, trials), the higher the better."""
    taken = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for row, chosen in zip(taken, combinations(range(blocks), blocks // 2), strict=True):
        row[list(chosen)] = 1.0
    below = 0
    for start in range(0, len(taken), AT_ONCE):
        some = taken[start : start + AT_ONCE]
        inside, outside = measured(some), measured(1 - some)
        best = np.take_along_axis(outside, inside.argmax(axis=1)[:, None], axis=1)
        rank = (outside < best).sum(axis=1) + ((outside == best).sum(axis=1) + 1) / 2
        below += int((rank <= (outside.shape[1] + 1) / 2).sum())
    return below / len(taken)


def _sharpes(sums: Floats, rows: int) -> Floats:
    mean = sums[0] / rows
    variance = np.maximum(sums[1] / rows - mean**2, 0.0)
    deviation = np.sqrt(variance)
    return np.where(deviation > 0, mean / np.where(deviation > 0, deviation, 1.0), 0.0)
