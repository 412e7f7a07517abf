"""Standardisation: the mean and deviation of training rows, kept as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError
from pipeline.models.base import Floats

FILE = "scaler.json"
FURTHEST = 1e4  # deviations; beyond them a value says nothing more, and single precision ends


@dataclass(frozen=True, slots=True)
class Scaler:
    """Mean and scale of each column."""

    columns: tuple[str, ...]
    mean: Floats
    scale: Floats

    @classmethod
    def fit(cls, columns: tuple[str, ...], values: Floats) -> Scaler:
        """Measure the rows of `values`, shape (rows, columns), and no others.

        The scale is the standard deviation (ddof 0); 1 where a column never varies.

        Raises
        ------
        DataError
            When there is no row.

        Examples
        --------
        >>> found = Scaler.fit(("a", "b"), np.array([[1.0, 5.0], [3.0, 5.0]]))
        >>> found.mean.tolist(), found.scale.tolist()
        ([2.0, 5.0], [1.0, 1.0])
        """
        if len(values) == 0:
            raise DataError("no row to measure the scale of features on", found="0 rows")
        varies = values.max(axis=0) > values.min(axis=0)
        mean = np.where(varies, values.mean(axis=0), values[0])
        scale = values.std(axis=0)
        return cls(columns, mean, np.where(varies & (scale > 0), scale, 1.0))

    @classmethod
    def read(cls, content: bytes) -> Scaler:
        """Rebuild what `save` wrote, to the last bit."""
        told = json.loads(content)
        return cls(tuple(told["columns"]), np.array(told["mean"]), np.array(told["scale"]))

    def apply(self, values: Floats) -> Floats:
        """Deviations from the mean in units of the scale, within ±`FURTHEST`; last axis columns.

        Examples
        --------
        >>> Scaler(("a",), np.array([2.0]), np.array([0.5])).apply(np.array([[3.0]])).tolist()
        [[2.0]]
        """
        with np.errstate(over="ignore"):
            scaled: Floats = (values - self.mean) / self.scale
        return np.clip(scaled, -FURTHEST, FURTHEST)

    def save(self) -> bytes:
        """JSON with columns, means and scales."""
        told = {
            "columns": list(self.columns),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
        }
        return json.dumps(told, sort_keys=True).encode()
