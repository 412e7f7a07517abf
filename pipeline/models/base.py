"""What a model is given and what it promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.errors import DataError
from pipeline.labels.learned import LearnedLabel, LearnedRule

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Files = Mapping[str, bytes]
Report = dict[str, dict[str, Any]]
UNLEARNED = 127  # no class of any label: whatever counts or looks one up by it fails


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Features of one run in order of their keys, shape (rows, columns)."""

    columns: tuple[str, ...]
    values: Floats
    index: pd.MultiIndex

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> FeatureTable:
        """Take a feature frame keyed (market, time) or (market, trade, time)."""
        values = np.ascontiguousarray(frame.to_numpy("float64"))
        assert isinstance(frame.index, pd.MultiIndex)
        return cls(columns=tuple(frame.columns), values=values, index=frame.index)

    def check(self, columns: tuple[str, ...]) -> None:
        """Refuse other columns, another order, another shape, NaN and infinity.

        Raises
        ------
        DataError
            Naming the first column, and the row, that differs.
        """
        if self.columns != columns:
            found, expected = _first_difference(self.columns, columns)
            raise DataError("features are not the model's columns", found=found, expected=expected)
        shape = (len(self.index), len(columns))
        if self.values.shape != shape:
            raise DataError(
                "features have another shape than their rows and columns",
                found=str(self.values.shape),
                expected=str(shape),
            )
        bad = np.argwhere(~np.isfinite(self.values))
        if len(bad):
            row, column = bad[0]
            raise DataError(
                "a feature is not finite",
                where=f"column {columns[column]}, row {self.index[row]}",
                found=str(self.values[row, column]),
                fix="look at data/quality.json and the candles around that moment",
            )


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What happened in figures, shape (samples,), and the label that cuts them into classes."""

    values: Floats
    label: LearnedLabel


@dataclass(frozen=True, slots=True)
class Samples:
    """Labelled rows of a feature table; sample k ends at table row ``rows[k]``.

    Where the label is learned, `outcomes` has what happened, and `label` is `UNLEARNED`
    until `judged` says what was learned.
    """

    table: FeatureTable
    rows: Rows
    label: npt.NDArray[np.int8]
    weight: Floats
    ends_at: pd.DatetimeIndex
    classes: tuple[str, ...]
    outcomes: Outcomes | None = None

    @property
    def index(self) -> pd.MultiIndex:
        """Keys of each sample: market, its trade where it has one, and time."""
        chosen = self.table.index[self.rows]
        assert isinstance(chosen, pd.MultiIndex)
        return chosen

    @property
    def time(self) -> pd.DatetimeIndex:
        """Open time of each sample's candle."""
        return pd.DatetimeIndex(self.index.get_level_values("time"))

    @property
    def values(self) -> Floats:
        """The samples' own rows, shape (samples, columns)."""
        return self.table.values[self.rows]

    def check(self, least: int) -> None:
        """Refuse fewer rows than `least`, and a table with values that are not finite.

        Raises
        ------
        DataError
            Naming what was found, or the column and the row.
        """
        self.require(least)
        self.table.check(self.table.columns)

    def require(self, least: int) -> None:
        """Refuse fewer rows than `least`.

        Raises
        ------
        DataError
            Naming how many there are.
        """
        if len(self.rows) < least:
            raise DataError(
                "too few rows to learn from",
                found=f"{len(self.rows)} rows",
                expected=f"at least {least}",
                fix="give more history (recipe.history_days)",
            )

    def take(self, positions: Rows) -> Samples:
        """A part of the samples."""
        known = self.outcomes
        return Samples(
            table=self.table,
            rows=self.rows[positions],
            label=self.label[positions],
            weight=self.weight[positions],
            ends_at=self.ends_at[positions],
            classes=self.classes,
            outcomes=Outcomes(known.values[positions], known.label) if known else None,
        )

    def learned(self) -> LearnedRule | None:
        """What these samples teach their label; None where it has nothing to learn.

        Raises
        ------
        DataError
            When there is no row.
        """
        if self.outcomes is None:
            return None
        self.require(least=1)
        return self.outcomes.label.learn(self.outcomes.values)

    def judged(self, rule: LearnedRule | None) -> Samples:
        """The samples with the classes that `rule` gives their outcomes."""
        if self.outcomes is None or rule is None:
            return self
        return replace(self, label=rule.assign(self.outcomes.values))


class Fitted(Protocol):
    """A model that has been fitted."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Feature columns in the order it was fitted on."""
        ...

    def predict_proba(self, table: FeatureTable, rows: Rows) -> Floats:
        """Class probabilities at the given table rows, shape (rows, classes), summing to 1.

        Raises
        ------
        DataError
            When the table's columns are not the model's, or a value is not finite.
        """
        ...

    def save(self) -> dict[str, bytes]:
        """The model as named files; no pickle, the same bytes for the same model."""
        ...

    def report(self) -> Report:
        """What fitting did, part by part, as JSON values; empty where there is nothing to tell.

        A part with a curve has ``training_losses`` and ``validation_losses``, one figure for
        each epoch. No duration and no moment: equal fits report the same.
        """
        ...


class Model(Protocol):
    """A model's declaration: hyperparameters that can be fitted, or loaded from files."""

    @property
    def lookback(self) -> int:
        """Rows, the newest included, that one prediction sees."""
        ...

    def fit(self, samples: Samples, rng: np.random.Generator) -> Fitted:
        """Fit on the samples; `rng` is the only source of chance."""
        ...

    def load(self, files: Files) -> Fitted:
        """Rebuild what `Fitted.save` wrote."""
        ...


def _first_difference(found: tuple[str, ...], expected: tuple[str, ...]) -> tuple[str, str]:
    for position, (one, other) in enumerate(zip(found, expected, strict=False)):
        if one != other:
            return f"{one} at position {position}", other
    return f"{len(found)} columns", f"{len(expected)} columns"
