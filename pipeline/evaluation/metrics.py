"""Scores of out-of-fold probabilities, each beside its baseline.

Every recipe prints the same flat names. With y the class that happened, p the predicted and b
the training-share probabilities of each row:

==================  ============================================================
balanced_accuracy   mean over the classes that occur of the share predicted right
accuracy            share of rows whose most probable class happened
majority_accuracy   the same for b: what never looking at the market scores
log_loss            mean of -log p[y], in nats; p clipped to [1e-15, 1]
brier_skill         1 - Brier(p) / Brier(b); 0 is no better than b, whatever b is
average_precision   mean over the classes that occur of one-against-rest AP
rows                rows scored
effective_rows      sum of average uniqueness: how many independent rows that is
==================  ============================================================
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.effective import effective_rows, skill, skill_interval

SAME = 1e-9  # difference of probabilities that says nothing
Floats = npt.NDArray[np.float64]
Scores = dict[str, float]
FLAT = (
    "balanced_accuracy",
    "accuracy",
    "majority_accuracy",
    "log_loss",
    "brier_skill",
    "average_precision",
    "rows",
    "effective_rows",
)


def score_head(joined: pd.DataFrame, classes: tuple[str, ...], timeframe: str) -> Scores:
    """Score one head.

    Parameters
    ----------
    joined
        Out-of-fold predictions joined with labels, keyed (market, time): ``label``,
        ``ends_at``, ``p_<class>``, ``base_<class>``.
    classes
        Class names in order of the label's index.

    Returns
    -------
    dict
        The flat names above, and ``brier_skill_low``, the lower end of its one-sided 95 %
        interval; not rounded.
    """
    happened = joined["label"].to_numpy("int64")
    probability = joined[[f"p_{name}" for name in classes]].to_numpy("float64")
    base = joined[[f"base_{name}" for name in classes]].to_numpy("float64")
    independent = effective_rows(joined, timeframe)
    loss, base_loss = brier(probability, happened), brier(base, happened)
    return {
        "balanced_accuracy": balanced_accuracy(probability.argmax(axis=1), happened),
        "accuracy": float((probability.argmax(axis=1) == happened).mean()),
        "majority_accuracy": float((base.argmax(axis=1) == happened).mean()),
        "log_loss": float(log_loss(probability, happened).mean()),
        "brier_skill": skill(loss, base_loss),
        "brier_skill_low": skill_interval(loss, base_loss, independent),
        "average_precision": average_precision(probability, happened),
        "rows": float(len(joined)),
        "effective_rows": independent,
    }


def balanced_accuracy(predicted: npt.NDArray[np.int64], happened: npt.NDArray[np.int64]) -> float:
    """Mean recall over the classes that happened.

    Examples
    --------
    >>> balanced_accuracy(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1]))
    0.5
    """
    recalls = [(predicted[happened == label] == label).mean() for label in np.unique(happened)]
    return float(np.mean(recalls))


def brier(probability: Floats, happened: npt.NDArray[np.int64]) -> Floats:
    """Squared distance of the probabilities from what happened, per row."""
    truth = np.eye(probability.shape[1])[happened]
    return np.asarray(((probability - truth) ** 2).sum(axis=1))


def log_loss(probability: Floats, happened: npt.NDArray[np.int64]) -> Floats:
    """Minus log of the probability given to what happened, per row, in nats."""
    chosen = probability[np.arange(len(happened)), happened]
    return np.asarray(-np.log(np.clip(chosen, 1e-15, 1.0)))


def average_precision(probability: Floats, happened: npt.NDArray[np.int64]) -> float:
    """Mean over the classes that happened of one-against-rest average precision."""
    from sklearn.metrics import average_precision_score

    present = np.unique(happened)
    scores = [average_precision_score(happened == k, probability[:, k]) for k in present]
    return float(np.mean(scores))


def confusion(probability: Floats, happened: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rows per (class that happened, class predicted), shape (classes, classes)."""
    size = probability.shape[1]
    pairs = happened * size + probability.argmax(axis=1)
    return np.bincount(pairs, minlength=size * size).reshape(size, size)


def is_constant(predictions: pd.DataFrame, classes: tuple[str, ...]) -> bool:
    """Whether each fold's model gave every row the same probabilities.

    Parameters
    ----------
    predictions
        Out-of-fold predictions: ``fold`` and ``p_<class>``.

    Examples
    --------
    >>> rows = pd.DataFrame({"fold": [0, 0, 1], "p_a": [0.4, 0.4, 0.5], "p_b": [0.6, 0.6, 0.5]})
    >>> is_constant(rows, ("a", "b"))
    True
    """
    folds = predictions.groupby("fold")[[f"p_{name}" for name in classes]]
    return bool(((folds.max() - folds.min()).to_numpy("float64") < SAME).all())


def mean_over_heads(heads: dict[str, Scores]) -> Scores:
    """Unweighted mean of each flat name over the heads, rounded to 6 significant digits.

    Examples
    --------
    >>> a = dict.fromkeys(FLAT, 1.0)
    >>> mean_over_heads({"a": a, "b": a | {"rows": 3.0}})["rows"]
    2
    """
    return {
        name: _rounded(float(np.mean([head[name] for head in heads.values()]))) for name in FLAT
    }


def _rounded(value: float) -> float:
    rounded = float(f"{value:.6g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) > 1 else rounded
