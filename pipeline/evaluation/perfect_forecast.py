"""What luck alone makes of a forecaster whose every probability is true.

The calibration error of a perfect forecaster is not 0: in as few rows as there are, shares miss the
probabilities that made them. Here outcomes are drawn from the stated probabilities themselves, as
strongly tied together as labels that overlap are, and the error is told as of real ones.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.evaluation.bootstrap import SEED, spans_of
from pipeline.evaluation.measures import BINS, Floats, Ints

DRAWS = 400
CONFIDENCE = 0.95


def perfect_errors(
    probability: Floats, rows: pd.DataFrame, timeframe: str, draws: int = DRAWS
) -> Floats:
    """Calibration errors of draws in which every stated probability is true, shape (draws,).

    The luck of a moment is a normal figure that correlates with that of the moment k later like
    ``1 - k / h``, as returns over h moments do; all rows of a moment share it. A row's outcome is
    the class whose part of [0, 1], in the order of the classes, its rank falls into.

    Parameters
    ----------
    probability
        Shape (rows, classes).
    rows
        Keyed by a ``time`` among others, with ``ends_at``, in the order of `probability`.
    """
    from scipy.special import ndtri

    moment, last_seen = spans_of(rows, timeframe)
    horizon = max(int((last_seen - moment).max(initial=1)), 1)
    below = np.cumsum(probability, axis=1)[:, :-1].clip(0.0, 1.0)
    edges, tenths = ndtri(below), _tenths(probability)
    size, count = probability.shape[1] * BINS, len(probability)
    said = np.bincount(tenths.ravel(), probability.ravel(), size)
    rng, every = np.random.default_rng(SEED), np.arange(count)
    found = np.empty(draws)
    for k in range(draws):
        luck = _luck(int(moment.max()) + 1, horizon, rng)[moment]
        happened = (luck[:, None] > edges).sum(axis=1)
        came = np.bincount(tenths[every, happened], minlength=size)
        found[k] = np.abs(said - came).sum() / count / probability.shape[1]
    return found


def perfect_range(probability: Floats, rows: pd.DataFrame, timeframe: str) -> tuple[float, float]:
    """The calibration errors between which a perfect forecaster lies 95 times in 100."""
    errors = perfect_errors(probability, rows, timeframe)
    low, high = np.quantile(errors, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _tenths(probability: Floats) -> Ints:
    """The tenth of [0, 1] that each probability lies in, counted on from class to class."""
    tenth = np.clip((probability * BINS).astype("int64"), 0, BINS - 1)
    return np.asarray(tenth + BINS * np.arange(probability.shape[1]))


def _luck(moments: int, horizon: int, rng: np.random.Generator) -> Floats:
    """Standard normal figures, each the sum of as many shocks as a label sees moments."""
    running = np.concatenate([[0.0], np.cumsum(rng.standard_normal(moments + horizon - 1))])
    return np.asarray((running[horizon:] - running[:-horizon]) / np.sqrt(horizon))
