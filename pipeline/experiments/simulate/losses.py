"""What answers scored, day by day, so that two models can be held against each other in pairs.

With p a row's probabilities, b the class shares of the model's own training rows and y what
happened; all are losses, lower is better:

=========  ====================================================================
log_loss   -log p[y], in nats; p clipped to [1e-15, 1]
direction  Brier score of sell against buy among the rows that moved
=========  ====================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pipeline.evaluation.bootstrap import (
    SEED,
    Blocks,
    Floats,
    block_length,
    drawn_sums,
    interval,
    student,
    widening,
)
from registry.evidence import FEW_DAYS, Word, word_of

MEASURES = ("log_loss", "direction")
OWN, USUAL = "own", "usual"


@dataclass(frozen=True, slots=True)
class Gap:
    """One policy's mean loss less another's, with the ends of its 90 % interval; in nats or Brier.

    The interval is the block bootstrap's, of paired days.
    """

    value: float
    low: float
    high: float
    days: int
    rows: int
    ours: float
    theirs: float

    @property
    def nothing(self) -> bool:
        """Whether both are the same, as where one model answers for both."""
        return self.value == self.low == self.high == 0.0

    @property
    def word(self) -> Word:
        """What the interval says of the first; on too few days it says nothing."""
        return word_of(-self.high, -self.low) if self.days >= FEW_DAYS else "undecidable"


@dataclass(frozen=True, slots=True)
class Losses:
    """Sums of losses by (turn, day) of a policy or a model.

    Columns are keyed (measure, head, kind): ``own`` and ``usual`` losses, and ``rows``.
    """

    sums: pd.DataFrame = field(default_factory=pd.DataFrame)

    @classmethod
    def joined(cls, parts: Iterable[Losses]) -> Losses:
        """The losses of several turns."""
        tables = [part.sums for part in parts if len(part.sums)]
        return cls(pd.concat(tables).fillna(0.0)) if tables else cls()

    def usual(self) -> Losses:
        """Those of the class shares in place of the model's."""
        if self.sums.empty:
            return self
        table = self.sums.copy()
        for measure, head in {(each[0], each[1]) for each in list(table.columns)}:
            table[measure, head, OWN] = self.sums[measure, head, USUAL]
        return Losses(table)

    def mean(self, measure: str) -> float | None:
        """Mean loss a row, mean over the heads; None where no row tells."""
        found = self.to(self, measure, 1)
        return found.ours if found else None

    def to(self, other: Losses, measure: str, horizon: int, draws: bool = True) -> Gap | None:
        """These losses less others, on the rows of the (turn, day)s that both have.

        Parameters
        ----------
        horizon
            Days that one label may reach over.
        """
        if self.sums.empty or other.sums.empty or measure not in self.sums.columns.unique(0):
            return None
        common = self.sums.index.intersection(other.sums.index)
        mine, theirs = (each.sums.loc[common, measure] for each in (self, other))
        heads = [head for head in mine.columns.unique(0) if mine[head, "rows"].sum() > 0]
        if not heads:
            return None
        columns = [
            _by_day(table[head, kind])
            for head in heads
            for table, kind in ((mine, OWN), (theirs, OWN), (mine, "rows"))
        ]
        values = np.column_stack([column.to_numpy("float64") for column in columns])
        return _gap(np.asarray(values, "float64"), horizon, draws=draws)


def blocks_of_days(days: int, horizon: int) -> Blocks:
    """How to draw days of losses again, whose labels look `horizon` days ahead.

    The last rows of a day and the first of the next look at the same future, so days are drawn
    as labels are that overlap for a day more than their horizon. On losses of models without
    skill whose difference lasts for hours to weeks, a horizon of a day, 7 to 13 % of the 90 %
    intervals leave out 0 (8 to 17 % where days are drawn as if they shared nothing).
    """
    reach = horizon + 1
    length = block_length(days, reach)
    widened = widening(days, reach, length) * student(max(days, 1) / reach)
    return Blocks(np.arange(days), days, length, widened)


def _by_day(sums: pd.Series[float]) -> pd.Series[float]:
    found: pd.Series[float] = sums.groupby(level="day").sum()
    return found


def _gap(values: Floats, horizon: int, draws: bool) -> Gap:
    """Columns are ours, theirs and rows of each head; a row is a day."""
    days, rows = len(values), values[:, 2::3]
    differences = np.column_stack([values[:, 0::3] - values[:, 1::3], rows])
    heads = rows.shape[1]
    ours, theirs = (float(np.mean(values[:, k::3].sum(0) / rows.sum(0))) for k in (0, 1))
    told = int((rows.sum(axis=1) > 0).sum()), int(rows.sum())
    if not draws:
        return Gap(ours - theirs, np.nan, np.nan, *told, ours, theirs)
    blocks = blocks_of_days(days, horizon)
    sums = drawn_sums(differences, blocks, np.random.default_rng(SEED))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (sums[:, :heads] / sums[:, heads:]).mean(axis=1)
    low, high = interval(means, blocks.widening)
    return Gap(float(means[0]), low, high, *told, ours, theirs)
