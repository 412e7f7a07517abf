"""Permutation importance on out-of-fold rows: what a column was worth to the folds' models.

A column's windows are exchanged between rows of the same fold, so that each row keeps its label
and every other column; what the log loss grows by is what the column told (Breiman, "Random
forests", 2001, section 10; on rows that the model was not fitted on).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from pipeline.evaluation.metrics import log_loss
from pipeline.models.base import FeatureTable, Fitted, Floats, Rows, Samples
from pipeline.models.windows import gather
from pipeline.splits.fold import Fold

MOST_ROWS = 512


@dataclass(frozen=True, slots=True)
class Importance:
    """Growth of the mean log loss in nats when a column is exchanged, and its standard error."""

    column: str
    increase: float
    error: float


def sampled_rows(folds: Sequence[Fold], most: int = MOST_ROWS) -> list[Rows]:
    """At most `most` test rows of all folds together, evenly strided; one array for each fold.

    Examples
    --------
    >>> folds = [Fold(np.arange(2), np.arange(2, 6)), Fold(np.arange(4), np.arange(6, 10))]
    >>> [rows.tolist() for rows in sampled_rows(folds, 4)]
    [[2, 4], [6, 8]]
    """
    test = np.concatenate([fold.test for fold in folds])
    count = min(most, len(test))
    places = np.arange(count) * len(test) // max(count, 1)
    ends = np.cumsum([len(fold.test) for fold in folds])
    return np.split(test[places], np.searchsorted(places, ends[:-1]))


def loss_increases(
    fitted: Fitted, samples: Samples, lookback: int, rng: np.random.Generator
) -> Floats:
    """Log loss of each row with one column exchanged, minus its own, in nats.

    Parameters
    ----------
    fitted
        A model that was not fitted on the samples.
    samples
        Rows of one fold, their windows of `lookback` candles whole.
    lookback
        Rows, the newest included, that the model sees.

    Returns
    -------
    array
        Shape (samples, columns).
    """
    width = len(samples.table.columns)
    if len(samples.rows) == 0:
        return np.empty((0, width))
    windows: Floats = np.asarray(gather(samples.table.values, samples.rows, lookback), "float64")
    index = samples.table.index[_window_rows(samples.rows, lookback)]
    newest = np.arange(1, len(windows) + 1) * lookback - 1
    losses = []
    for values in chain([windows], _exchanged(windows, rng)):
        table = FeatureTable(samples.table.columns, values.reshape(-1, width), index)
        probability = fitted.predict_proba(table, newest)
        losses.append(log_loss(probability, samples.label.astype("int64")))
    return np.column_stack(losses[1:]) - losses[0][:, None]


def ranked(columns: Sequence[str], increases: Floats, independent: float) -> list[Importance]:
    """Importance of each column, the largest increase first.

    Parameters
    ----------
    increases
        What `loss_increases` gave for the rows of all folds, shape (rows, columns).
    independent
        How many independent rows these are worth: the standard error of a mean is taken over
        them, because overlapping labels repeat each other.

    Examples
    --------
    >>> ranked(["a", "b"], np.array([[0.0, 0.2], [0.0, 0.4]]), 1)[0]
    Importance(column='b', increase=0.30000000000000004, error=0.1)
    """
    means, errors = increases.mean(axis=0), increases.std(axis=0) / np.sqrt(max(independent, 1.0))
    return [
        Importance(columns[k], float(means[k]), float(errors[k]))
        for k in np.argsort(-means, kind="stable")
    ]


def _window_rows(rows: Rows, lookback: int) -> Rows:
    return np.asarray(rows[:, None] + np.arange(1 - lookback, 1), np.intp).ravel()


def _exchanged(windows: Floats, rng: np.random.Generator) -> Iterator[Floats]:
    for column in range(windows.shape[2]):
        values = windows.copy()
        values[:, :, column] = windows[rng.permutation(len(windows)), :, column]
        yield values
