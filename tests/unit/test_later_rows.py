"""A deployed model is asked about later rows, where it can answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd

from pipeline.live.loading import LoadedHead
from pipeline.models.base import FeatureTable
from pipeline.operations.versions.later_rows import _predicted

HOUR = pd.Timedelta(hours=1)


def keyed(hours: list[int]) -> pd.DataFrame:
    time = pd.Timestamp("2025-01-01T00:00Z") + np.array(hours) * HOUR
    index = pd.MultiIndex.from_arrays([["SIM"] * len(hours), time], names=["market", "time"])
    told = {"a": np.array(hours, "float64"), "label": 0, "ends_at": time + 4 * HOUR}
    return pd.DataFrame(told, index)


class Halves:
    """Remembers which rows it was asked about."""

    rows: list[float]

    def predict_proba(self, table: FeatureTable, rows: np.ndarray) -> np.ndarray:
        self.rows = table.values[rows, 0].tolist()
        return np.full((len(rows), 2), 0.5)


def test_a_window_with_a_hole_is_not_asked_about() -> None:
    candles = keyed([0, 1, 2, 3, 6, 7, 8, 9])
    features = SimpleNamespace(compute_many=lambda frame: frame[["a"]])
    model = Halves()
    head = LoadedHead(cast("Any", features), cast("Any", model), ("no", "yes"), 3, 3)
    found = _predicted(head, keyed([1, 2, 3, 6, 7, 8, 9, 10]), candles)
    assert model.rows == [2.0, 3.0, 8.0, 9.0]
    assert list(found.index) == list(keyed([2, 3, 8, 9]).index)
    assert (found["p_yes"] == 0.5).all()
