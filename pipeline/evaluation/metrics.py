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
detectable_skill    Brier skill that so many rows show four times out of five
calibration_error   mean distance of probabilities from how often it then happened
==================  ============================================================

What else is told of a head stands in `pipeline.evaluation.scorecard`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.bootstrap import Blocks, blocks_of, deviation, interval
from pipeline.evaluation.chance import chance
from pipeline.evaluation.effective import effective_rows
from pipeline.evaluation.measures import Outcomes, direction_figures, mean_figures, odds
from pipeline.evaluation.measures import brier as brier  # noqa: PLC0414 - offered here too
from pipeline.evaluation.measures import log_loss as log_loss  # noqa: PLC0414
from pipeline.evaluation.ranking import ranked

MOVES = ("sell", "buy")
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
    "detectable_skill",
    "calibration_error",
)
POWER = 1.645 + 0.842  # deviations: 5 % one-sided, seen four times out of five


def with_outcomes(predictions: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Out-of-fold predictions beside the ``label`` that each is judged by, and its ``ends_at``.

    A learned label stands in the predictions already, by what its fold's training rows taught.
    """
    own = ["label", "ends_at"] if "label" in labels else ["ends_at"]
    return predictions.join(labels[own], how="inner")


def score_head(joined: pd.DataFrame, classes: tuple[str, ...], timeframe: str) -> Scores:
    """Score one head.

    Parameters
    ----------
    joined
        What `with_outcomes` gives: ``label``, ``ends_at``, ``p_<class>``, ``base_<class>``.
    classes
        Class names in order of the label's index.

    Returns
    -------
    dict
        The flat names above, and ``brier_skill_low``, the lower end of its one-sided 95 %
        interval by the block bootstrap, and ``brier_skill_p``, see `chance`; for a head that
        tells sell from buy and from something between, also ``direction_skill``,
        ``direction_skill_low``, ``direction_skill_p``, ``direction_effective_rows`` and
        ``direction_auc``, of sell against buy among the rows that moved; not rounded.
    """
    outcomes = outcomes_of(joined, classes, timeframe)
    probability, base = probabilities(joined, classes), outcomes.against["brier_skill"]
    found = mean_figures(probability, outcomes)
    skill, widened = found["brier_skill"], outcomes.blocks.widening
    scores = {name: float(found[name][0]) for name in FLAT if name in found} | {
        "majority_accuracy": float((base.argmax(axis=1) == outcomes.happened).mean()),
        "average_precision": average_precision(probability, outcomes.happened),
        "rows": float(len(joined)),
        "effective_rows": effective_rows(joined, timeframe),
        "detectable_skill": POWER * deviation(skill, widened),
        "brier_skill_low": interval(skill, widened)[0],
        "brier_skill_p": chance(skill, outcomes.blocks),
    }
    if not outcomes.has_direction:
        return scores
    worth = effective_rows(moved(joined, classes), timeframe)
    return scores | {"direction_effective_rows": worth} | _direction(probability, outcomes)


def outcomes_of(joined: pd.DataFrame, classes: tuple[str, ...], timeframe: str) -> Outcomes:
    """What happened at joined rows, the training shares to be better than, and the blocks."""
    return Outcomes(
        happened=joined["label"].to_numpy("int64"),
        classes=classes,
        against={"brier_skill": probabilities(joined, classes, "base")},
        blocks=blocks_of(joined, timeframe),
        moves=blocks_of(moved(joined, classes), timeframe),
    )


def moved(joined: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """The joined rows of the classes sell and buy."""
    return joined[joined["label"].isin([k for k, name in enumerate(classes) if name in MOVES])]


def probabilities(joined: pd.DataFrame, classes: tuple[str, ...], kind: str = "p") -> Floats:
    """Columns ``<kind>_<class>``, shape (rows, classes)."""
    return joined[[f"{kind}_{name}" for name in classes]].to_numpy("float64")


def direction_rows(joined: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """The rows that moved, as a head of the classes sell and buy alone.

    How often a price holds follows from its volatility, which can be predicted without knowing
    where the price goes; what is left here cannot be earned that way.

    Examples
    --------
    >>> rows = pd.DataFrame(
    ...     {"label": [0, 1, 2], "ends_at": [0, 0, 0], "p_sell": [0.3, 0.1, 0.1], "p_hold": 0.4,
    ...      "p_buy": [0.3, 0.5, 0.5], "base_sell": 0.2, "base_hold": 0.4, "base_buy": 0.2})
    >>> direction_rows(rows, ("sell", "hold", "buy"))[["label", "p_buy", "base_buy"]].round(3)
       label  p_buy  base_buy
    0      0  0.500       0.5
    2      1  0.833       0.5
    """
    moves = moved(joined, classes)
    columns: dict[str, Floats] = {}
    for kind in ("p", "base"):
        rise = odds(probabilities(moves, MOVES, kind))
        columns |= {f"{kind}_{MOVES[0]}": 1 - rise, f"{kind}_{MOVES[1]}": rise}
    label = (moves["label"] == classes.index(MOVES[1])).astype("int8")
    return pd.DataFrame(columns, moves.index).assign(label=label, ends_at=moves["ends_at"])


def balanced_accuracy(predicted: npt.NDArray[np.int64], happened: npt.NDArray[np.int64]) -> float:
    """Mean recall over the classes that happened.

    Examples
    --------
    >>> balanced_accuracy(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1]))
    0.5
    """
    recalls = [(predicted[happened == label] == label).mean() for label in np.unique(happened)]
    return float(np.mean(recalls))


def average_precision(probability: Floats, happened: npt.NDArray[np.int64]) -> float:
    """Mean over the classes that happened of one-against-rest average precision."""
    rows = len(happened)
    alone = Blocks(np.arange(rows), rows, length=1.0, widening=1.0, draws=0)
    scores = [
        ranked(probability[:, k], happened == k, 0.0, alone, 0).average_precision[0]
        for k in np.unique(happened)
    ]
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


def _direction(probability: Floats, outcomes: Outcomes) -> Scores:
    found = direction_figures(probability, outcomes.against["brier_skill"], outcomes)
    skill, area = found["direction_skill"], float(found["direction_auc"][0])
    low, _ = interval(skill, outcomes.moves.widening)
    return {
        "direction_skill": float(skill[0]),
        "direction_skill_low": low,
        "direction_skill_p": chance(skill, outcomes.moves),
        "direction_auc": 0.5 if np.isnan(area) else area,
    }


def _rounded(value: float) -> float:
    rounded = float(f"{value:.6g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) > 1 else rounded
