"""The training facts, joined with what the out-of-fold predictions got right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.metrics import confusion

Facts = dict[str, Any]
Counts = npt.NDArray[np.int64]
KINDS = ("validation", "training")
LOSS_COLUMNS = ("head", "fit", "part", "epoch", "loss", "kind")
IMPORTANCE_COLUMNS = ("head", "column", "increase", "error")


def training_report(
    training: Facts,
    out_of_fold: Mapping[str, pd.DataFrame],
    classes: Mapping[str, tuple[str, ...]],
) -> Facts:
    """Add ``confusion`` and ``per_class`` to the facts of each head.

    Parameters
    ----------
    training
        What the training wrote, ``{"libraries": …, "heads": …}``.
    out_of_fold
        Out-of-fold predictions joined with labels, by head.
    classes
        Class names in order of the label's index, by head.
    """
    heads = {
        head: {**training["heads"][head], **_judged(out_of_fold[head], names)}
        for head, names in classes.items()
    }
    return {**training, "heads": heads}


def per_class(counts: Counts, classes: tuple[str, ...]) -> dict[str, dict[str, float | None]]:
    """Precision, recall and rows of each class.

    Parameters
    ----------
    counts
        Rows per (class that happened, class predicted), shape (classes, classes).

    Returns
    -------
    dict
        Precision is None for a class that was never predicted, recall for one that never
        happened; ``rows`` are those in which it happened.

    Examples
    --------
    >>> per_class(np.array([[3, 0], [1, 0]]), ("sell", "buy"))["sell"]
    {'precision': 0.75, 'recall': 1.0, 'rows': 3}
    >>> per_class(np.array([[3, 0], [1, 0]]), ("sell", "buy"))["buy"]
    {'precision': None, 'recall': 0.0, 'rows': 1}
    """
    happened, predicted = counts.sum(axis=1).tolist(), counts.sum(axis=0).tolist()
    right = counts.diagonal().tolist()
    return {
        name: {
            "precision": right[k] / predicted[k] if predicted[k] else None,
            "recall": right[k] / happened[k] if happened[k] else None,
            "rows": happened[k],
        }
        for k, name in enumerate(classes)
    }


def loss_table(training: Facts) -> pd.DataFrame:
    """One row for each epoch, fit and kind of loss; no row where nothing has curves."""
    rows = [
        (head, fit["fit"], part, epoch, loss, kind)
        for head, fit, part, facts in _parts(training)
        for kind in KINDS
        for epoch, loss in enumerate(facts.get(f"{kind}_losses", []), 1)
        if loss is not None
    ]
    return pd.DataFrame(rows, columns=list(LOSS_COLUMNS))


def importance_table(training: Facts) -> pd.DataFrame:
    """One row for each head and column, the most important first."""
    rows = [
        (head, each["column"], each["increase"], each["error"])
        for head, facts in training["heads"].items()
        for each in facts["importance"]
    ]
    return pd.DataFrame(rows, columns=list(IMPORTANCE_COLUMNS))


def _judged(joined: pd.DataFrame, classes: tuple[str, ...]) -> Facts:
    probability = joined[[f"p_{name}" for name in classes]].to_numpy("float64")
    counts = confusion(probability, joined["label"].to_numpy("int64"))
    return {"confusion": counts.tolist(), "per_class": per_class(counts, classes)}


def _parts(training: Facts) -> Iterator[tuple[str, Facts, str, Facts]]:
    for head, facts in training["heads"].items():
        for fit in facts["fits"]:
            for part, facts_of_part in fit["parts"].items():
                yield head, fit, part, facts_of_part
