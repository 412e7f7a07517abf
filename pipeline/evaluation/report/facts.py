"""What the page is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.pooled_trading import PooledTrading
from pipeline.evaluation.trading import Trading

Facts = dict[str, Any]
Floats = npt.NDArray[np.float64]
LEAST_ROWS = 2.0  # independent ones


@dataclass(frozen=True, slots=True)
class HeadFacts:
    """What is known of one head.

    `joined` holds its out-of-fold predictions joined with labels, keyed (market, time):
    ``fold``, ``p_<class>``, ``base_<class>``, ``label``, ``ends_at``. `constant`: within each fold
    it gives every candle the same probabilities. `metrics`, `by_regime`, `by_month` and
    `by_member` are those of `pipeline.evaluation.scorecard`.
    """

    name: str
    classes: tuple[str, ...]
    scores: dict[str, float]
    confusion: list[list[int]]
    training: Facts
    joined: pd.DataFrame
    undecidable: bool
    constant: bool
    metrics: Facts
    by_regime: Facts
    by_month: Facts
    by_member: Facts

    @property
    def too_few(self) -> bool:
        """Whether there are too few independent rows to tell anything."""
        return self.undecidable or self.scores["effective_rows"] < LEAST_ROWS

    @property
    def probability(self) -> Floats:
        """Predicted probabilities, shape (rows, classes)."""
        return self.joined[[f"p_{name}" for name in self.classes]].to_numpy("float64")

    @property
    def base(self) -> Floats:
        """Class shares of the training rows, repeated for each row, shape (rows, classes)."""
        return self.joined[[f"base_{name}" for name in self.classes]].to_numpy("float64")

    @property
    def happened(self) -> npt.NDArray[np.int64]:
        """Index of the class that happened, shape (rows,)."""
        return self.joined["label"].to_numpy("int64")

    @property
    def time(self) -> pd.DatetimeIndex:
        """Open time of each row's candle."""
        return pd.DatetimeIndex(self.joined.index.get_level_values("time"))

    @property
    def worth(self) -> float:
        """How many independent rows one row is worth, at most 1."""
        return min(self.scores["effective_rows"] / max(len(self.joined), 1), 1.0)


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Everything the page shows; equal facts give an equal page.

    Parameters
    ----------
    title
        What was run, in a few words.
    as_of
        The one clock of the run.
    verdict
        promote, observe, refuse or undecidable.
    sentence
        The gate's own sentence.
    flat
        The flat figures, a mean over the heads.
    heads
        ``scores``, ``classes``, ``confusion`` and the scorecard of each head.
    meanings
        What each class says of a candle, in the order of the classes, by head.
    training
        ``libraries`` and, for each head, what its training reported.
    quality
        What the candles are like; any keys.
    candles
        Candles keyed (market, time).
    out_of_fold
        Out-of-fold predictions joined with labels, by head; see `HeadFacts`.
    trading
        What trading them came to.
    """

    title: str
    as_of: str
    verdict: str
    sentence: str
    flat: dict[str, float]
    heads: Facts
    meanings: dict[str, tuple[str, ...]]
    training: Facts
    quality: Facts
    candles: pd.DataFrame
    out_of_fold: dict[str, pd.DataFrame]
    trading: Trading | PooledTrading

    def head(self, name: str) -> HeadFacts:
        """What is known of one head."""
        found = self.heads[name]
        return HeadFacts(
            name=name,
            classes=tuple(found["classes"]),
            scores=found["scores"],
            confusion=found["confusion"],
            training=self.training["heads"][name],
            joined=self.out_of_fold[name],
            undecidable=self.verdict == "undecidable",
            constant=bool(found.get("constant")),
            metrics=found["metrics"],
            by_regime=found["by_regime"],
            by_month=found["by_month"],
            by_member=found.get("by_member", {}),
        )
