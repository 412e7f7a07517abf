"""Evidence for a gate: a candidate held against the champion, row by row.

Two models are held against each other on rows that neither was fitted on: rows that the models of
both versions' folds predicted out of fold, or, of a deployed model, rows after its ``as_of``. Every
other prediction flatters who made it and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.evaluation.bootstrap import (
    SEED,
    Blocks,
    Floats,
    Ints,
    blocks_of,
    drawn_sums,
    interval,
    spans_of,
)
from pipeline.evaluation.chance import chance
from pipeline.evaluation.measures import BUY, SELL, odds
from pipeline.evaluation.metrics import log_loss, probabilities
from pipeline.evaluation.statistics import diebold_mariano, mcnemar
from registry.evidence import Word, word_of

NO_ROWS = "no candle was predicted out of fold by both"
DIFFERENCE, HITS, DIRECTION = "difference", "hits", "direction"
FEWEST_HORIZONS = 20  # of common rows; on fewer, Diebold and Mariano's p is too small too often


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """A head's predictions joined with what happened, and its label's declaration.

    `frame` is keyed by market and time and has ``label``, ``ends_at``, ``p_<class>`` and ``fold``;
    `as_of` is that of the deployed model that predicted them, None where the folds' models did,
    and `chronological` says whether these were trained on candles before their tests alone, None
    where that is not known.
    """

    frame: pd.DataFrame
    classes: tuple[str, ...]
    label: object
    as_of: pd.Timestamp | None = None
    chronological: bool | None = True


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate against champion on the rows both predicted without being fitted on them.

    `log_loss_difference` is candidate minus champion, mean over the rows, in nats; `low` and
    `high` are its 90 % interval by the block bootstrap of paired rows. `common_moments` are the
    candles that the rows stand on, however many markets and heads share them.
    `log_loss_p` is the one-sided probability of a difference at least as far below 0 between equal
    models, `direction_loss_difference` and `direction_loss_p` the same of the squared error of
    sell against buy among the rows that moved, None where no head tells these apart.
    `diebold_mariano_p` is of equal log loss, None for moments of fewer than `FEWEST_HORIZONS`,
    `mcnemar_p` of naming the right class equally often.
    """

    comparable: bool
    why_not: str = ""
    common_rows: int = 0
    common_moments: int = 0
    log_loss_difference: float = 0.0
    low: float = 0.0
    high: float = 0.0
    log_loss_p: float = 1.0
    direction_loss_difference: float | None = None
    direction_loss_p: float | None = None
    diebold_mariano_p: float | None = None
    mcnemar_p: float = 1.0

    @property
    def word(self) -> Word:
        """What the interval says of the candidate; of equal models one in ten is called unequal."""
        return word_of(-self.high, -self.low)


def compare(
    candidate: Mapping[str, OutOfFold], champion: Mapping[str, OutOfFold], timeframe: str
) -> Difference:
    """Hold a candidate against a champion over the rows of every head that both have.

    Heads that differ in name, classes or label are no common ground, nor are rows whose outcome
    both tell differently because the candles were revised in between, or a label learned from
    other rows. Predictions of neither kind that the module names are refused, and so are models
    that knew later candles beside models that did not.
    """
    if sorted(candidate) != sorted(champion):
        return Difference(False, "the heads differ")
    for head, ours in candidate.items():
        theirs = champion[head]
        if (ours.classes, ours.label) != (theirs.classes, theirs.label):
            return Difference(False, f"the label of head {head} differs")
    if why_not := not_evidence(candidate, champion):
        return Difference(False, why_not)
    every = pd.concat([_paired(ours, champion[head]) for head, ours in candidate.items()])
    if every.empty:
        return Difference(False, NO_ROWS)
    return _difference(every, timeframe)


def not_evidence(candidate: Mapping[str, OutOfFold], champion: Mapping[str, OutOfFold]) -> str:
    """Why the predictions of two versions are no evidence on each other; empty when they are."""
    sides = {"candidate": candidate, "champion": champion}
    for who, heads in sides.items():
        for head, predicted in heads.items():
            if why_not := _flattered(predicted):
                return f"{why_not} of the {who}'s head {head}"
    knew = [all(head.chronological for head in heads.values()) for heads in sides.values()]
    if knew[0] == knew[1]:
        return ""
    who, other = sides if knew[1] else reversed(sides)
    if any(head.chronological is False for head in sides[who].values()):
        return f"the {who}'s models were trained on later candles too, the {other}'s were not"
    return f"it is not known whether the {who}'s models were trained on later candles too"


def after(predicted: OutOfFold, as_of: pd.Timestamp) -> OutOfFold:
    """The rows whose candle opened at `as_of` or later: a model of that moment knew none."""
    time = predicted.frame.index.get_level_values("time")
    frame = predicted.frame[time >= as_of]
    return replace(predicted, frame=frame)


def independent_moments(moment: Ints, last_seen: Ints) -> Ints:
    """Moments, each the first whose labels see nothing that those of the one before saw.

    Examples
    --------
    >>> independent_moments(np.array([0, 0, 1, 2, 3]), np.array([1, 2, 3, 3, 5])).tolist()
    [0, 2, 3]
    """
    seen = np.zeros(int(moment.max(initial=-1)) + 1, "int64")
    np.maximum.at(seen, moment, last_seen)
    chosen, free = [], 0
    for each, last in enumerate(seen.tolist()):
        if each >= free:
            chosen.append(each)
            free = last
    return np.array(chosen, "int64")


def _flattered(predicted: OutOfFold) -> str:
    """Why predictions are no evidence; empty when they are."""
    if predicted.as_of is None:
        told = "fold" in predicted.frame and bool((predicted.frame["fold"] >= 0).all())
        return "" if told else "it is not known that the predictions are out of fold"
    early = len(predicted.frame) - len(after(predicted, predicted.as_of).frame)
    return f"{early} rows before as_of are in the deployed model's predictions" if early else ""


def _paired(ours: OutOfFold, theirs: OutOfFold) -> pd.DataFrame:
    common = ours.frame.index.intersection(theirs.frame.index).sort_values()
    mine, other = ours.frame.loc[common], theirs.frame.loc[common]
    agreed = (mine["label"] == other["label"]).to_numpy(bool)
    happened = mine["label"].to_numpy("int64")
    each = [probabilities(rows, ours.classes) for rows in (mine, other)]
    loss = log_loss(each[0], happened) - log_loss(each[1], happened)
    right = [(chances.argmax(axis=1) == happened).astype("int64") for chances in each]
    columns = {DIFFERENCE: loss, HITS: right[0] - right[1], "ends_at": mine["ends_at"]}
    columns[DIRECTION] = _direction_losses(each[0], happened, ours.classes)
    columns[DIRECTION] -= _direction_losses(each[1], happened, ours.classes)
    table = pd.DataFrame(columns, common)[agreed]
    return table.droplevel("trade") if "trade" in common.names else table


def _difference(paired: pd.DataFrame, timeframe: str) -> Difference:
    blocks = blocks_of(paired, timeframe)
    loss = paired[DIFFERENCE].to_numpy("float64")
    means = _means(loss, blocks)
    direction, direction_p = _direction(paired.dropna(subset=DIRECTION), timeframe)
    low, high = interval(means, blocks.widening)
    moment, last_seen = spans_of(paired, timeframe)
    by_moment = np.bincount(moment, loss, blocks.moments).astype("float64")
    hits = np.bincount(moment, paired[HITS].to_numpy("float64"), blocks.moments)
    horizon = max(int((last_seen - moment).max()), 1)
    enough = blocks.moments >= FEWEST_HORIZONS * horizon
    chosen = hits[independent_moments(moment, last_seen)]
    return Difference(
        comparable=True,
        common_rows=len(loss),
        common_moments=blocks.moments,
        log_loss_difference=float(loss.mean()),
        low=low,
        high=high,
        log_loss_p=chance(-means, blocks),
        direction_loss_difference=direction,
        direction_loss_p=direction_p,
        diebold_mariano_p=diebold_mariano(by_moment, horizon) if enough else None,
        mcnemar_p=mcnemar(int((chosen > 0).sum()), int((chosen < 0).sum())),
    )


def _direction(paired: pd.DataFrame, timeframe: str) -> tuple[float | None, float | None]:
    """Mean difference of the direction loss and its p; None where no row tells of it."""
    if paired.empty:
        return None, None
    blocks = blocks_of(paired, timeframe)
    means = _means(paired[DIRECTION].to_numpy("float64"), blocks)
    return float(means[0]), chance(-means, blocks)


def _direction_losses(chances: Floats, happened: Ints, classes: tuple[str, ...]) -> Floats:
    """Squared error of sell against buy where the row moved, NaN elsewhere, shape (rows,)."""
    found = np.full(len(happened), np.nan)
    if not {SELL, BUY} < {*classes}:
        return found
    pair = [classes.index(name) for name in (SELL, BUY)]
    moved = np.isin(happened, pair)
    found[moved] = (odds(chances[moved][:, pair]) - (happened[moved] == pair[1])) ** 2
    return found


def _means(values: Floats, blocks: Blocks) -> Floats:
    """Mean of the rows, and of the rows of each draw, shape (1 + draws,)."""
    columns = np.column_stack([values, np.ones(len(values))])
    sums = drawn_sums(columns, blocks, np.random.default_rng(SEED))
    return np.asarray(sums[:, 0] / sums[:, 1])
