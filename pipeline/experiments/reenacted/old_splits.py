"""How rows used to be cut: drawn in any order, or not cut at all. For re-enactments alone.

None of these is a record of configuration, so no recipe can name one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.models.base import Rows
from pipeline.splits.fold import Fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffled:
    """Any rows are the test, whatever was trained on right before and after them.

    Neighbouring hours share 23 of the 24 hours of their labels, so nearly every test row has its
    answer beside it among the training rows. Never evidence.
    """

    test_share: float
    seed: int = 42

    def folds(self, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> list[Fold]:  # noqa: ARG002
        """One fold, nothing of it purged; see `pipeline.splits.fold.Split`."""
        train, test = drawn(len(time), self.test_share, np.random.default_rng(self.seed))
        return [Fold(train=train, test=test)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SameRows:
    """Every row is trained on, and every row is the test: what in sample means. Never evidence."""

    def folds(self, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> list[Fold]:  # noqa: ARG002
        """One fold; see `pipeline.splits.fold.Split`."""
        every = np.arange(len(time), dtype=np.intp)
        return [Fold(train=every, test=every)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpurged:
    """The newest rows are the test; the label of training rows may reach into it.

    Trained on are the oldest `trained` share of the rows, all older ones where it is not given.
    """

    test_share: float
    trained: float | None = None

    def folds(self, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> list[Fold]:  # noqa: ARG002
        """One fold; see `pipeline.splits.fold.Split`."""
        order = np.argsort(time.asi8, kind="stable")
        cut = round(len(order) * (1 - self.test_share))
        trained = cut if self.trained is None else round(len(order) * self.trained)
        return [Fold(train=order[:trained], test=order[cut:])]


def drawn(rows: int, share: float, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Draw a share of the rows; the others first, then the drawn ones, each in order.

    Examples
    --------
    >>> left, taken = drawn(10, 0.3, np.random.default_rng(1))
    >>> len(left), len(taken), sorted([*left.tolist(), *taken.tolist()]) == list(range(10))
    (7, 3, True)
    """
    order = rng.permutation(rows)
    taken = round(rows * share)
    return np.sort(order[taken:]), np.sort(order[:taken])


@dataclass(frozen=True, slots=True, kw_only=True)
class Expanding:
    """Each of so many equal blocks is a test once, all rows before it are trained on, unpurged."""

    fold_count: int

    def folds(self, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> list[Fold]:  # noqa: ARG002
        """One fold for each block but the first; see `pipeline.splits.fold.Split`."""
        parts = np.array_split(np.argsort(time.asi8, kind="stable"), self.fold_count + 1)
        return [
            Fold(train=np.concatenate(parts[:number]), test=parts[number])
            for number in range(1, len(parts))
        ]
