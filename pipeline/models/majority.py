"""The baseline every score stands beside: always the class shares of the training rows."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from pipeline.config import Record
from pipeline.models.base import FeatureTable, Files, Floats, Report, Rows, Samples

FILE = "majority.json"


class Majority(Record):
    """Predicts the class shares it was trained on, whatever the features say."""

    @property
    def lookback(self) -> int:
        """One row, and it is not looked at."""
        return 1

    def fit(self, samples: Samples, rng: np.random.Generator) -> FittedMajority:  # noqa: ARG002
        """Count the classes.

        Raises
        ------
        DataError
            When there is no row.
        """
        samples.require(least=1)
        counts = np.bincount(samples.label, minlength=len(samples.classes))
        return FittedMajority(samples.table.columns, tuple(counts / counts.sum()))

    def load(self, files: Files) -> FittedMajority:
        """Read the shares."""
        told = json.loads(files[FILE])
        return FittedMajority(tuple(told["columns"]), tuple(told["shares"]))


@dataclass(frozen=True, slots=True)
class FittedMajority:
    """Class shares of the training rows."""

    columns: tuple[str, ...]
    shares: tuple[float, ...]

    def predict_proba(self, table: FeatureTable, rows: Rows) -> Floats:
        """The same shares for every row."""
        table.check(self.columns)
        return np.tile(np.asarray(self.shares), (len(rows), 1))

    def save(self) -> dict[str, bytes]:
        """One JSON file."""
        told = {"columns": list(self.columns), "shares": list(self.shares)}
        return {FILE: json.dumps(told).encode()}

    def report(self) -> Report:
        """Nothing: it only counts."""
        return {}
