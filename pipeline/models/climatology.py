"""The baseline of who knows how wild the market is and nothing else: class shares by volatility."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline.config import Record
from pipeline.errors import DataError
from pipeline.models.base import FeatureTable, Files, Floats, Report, Rows, Samples

FILE = "climatology.json"
STATES = ("low", "middle", "high")
SHRUNK = 10.0  # rows of all states' shares, by weight, that are mixed into each state's own


class Climatology(Record):
    """Class shares of the training rows in three states of volatility, cut at its terciles.

    It knows whether price will move and not where to, so its skill is that of volatility alone.
    """

    volatility: Annotated[
        tuple[str, ...], Field(min_length=1, description="columns; the first that the head has")
    ]

    @property
    def lookback(self) -> int:
        """One row."""
        return 1

    def fit(self, samples: Samples, rng: np.random.Generator) -> FittedClimatology:  # noqa: ARG002
        """Learn the terciles and the shares; 10 rows of all shares are mixed into each state's.

        Raises
        ------
        DataError
            When there is no row, a value is not finite, or the head has none of the columns.
        """
        samples.check(least=1)
        column = self._column(samples.table.columns)
        values = samples.values[:, samples.table.columns.index(column)]
        low, high = np.quantile(values, [1 / 3, 2 / 3]).tolist()
        state, size = _states(values, (low, high)), (len(STATES), len(samples.classes))
        cells = state * size[1] + samples.label
        held = np.bincount(cells, samples.weight, size[0] * size[1]).reshape(size)
        every = held.sum(axis=0) / held.sum()
        shares = (held + SHRUNK * every) / (held.sum(axis=1, keepdims=True) + SHRUNK)
        told = tuple(tuple(row) for row in shares.tolist())
        return FittedClimatology(samples.table.columns, column, (low, high), told)

    def load(self, files: Files) -> FittedClimatology:
        """Read the terciles and the shares."""
        told = json.loads(files[FILE])
        low, high = told["terciles"]
        shares = tuple(tuple(told["shares"][state]) for state in STATES)
        return FittedClimatology(tuple(told["columns"]), told["volatility"], (low, high), shares)

    def _column(self, columns: tuple[str, ...]) -> str:
        found = [name for name in self.volatility if name in columns]
        if not found:
            raise DataError(
                "the features have no column of volatility that the model names",
                found=f"{len(columns)} columns, from {columns[0]} to {columns[-1]}",
                expected=f"one of {', '.join(self.volatility)}",
                fix="name one in model.volatility",
            )
        return found[0]


@dataclass(frozen=True, slots=True)
class FittedClimatology:
    """Terciles of one column, and the class shares of each state."""

    columns: tuple[str, ...]
    volatility: str
    terciles: tuple[float, float]
    shares: tuple[tuple[float, ...], ...]

    def predict_proba(self, table: FeatureTable, rows: Rows) -> Floats:
        """The shares of each row's state."""
        table.check(self.columns)
        values = table.values[rows, self.columns.index(self.volatility)]
        return np.asarray(self.shares)[_states(values, self.terciles)]

    def save(self) -> dict[str, bytes]:
        """One JSON file."""
        told = {
            "columns": list(self.columns),
            "volatility": self.volatility,
            "terciles": list(self.terciles),
            "shares": {state: list(row) for state, row in zip(STATES, self.shares, strict=True)},
        }
        return {FILE: json.dumps(told).encode()}

    def report(self) -> Report:
        """Nothing: it only counts."""
        return {}


def _states(values: Floats, terciles: tuple[float, float]) -> npt.NDArray[np.intp]:
    """0, 1 or 2; what stands on an edge is of the state below."""
    return np.searchsorted(np.array(terciles), values, side="left")
