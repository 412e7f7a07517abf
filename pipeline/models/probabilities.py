"""What probabilities must be, whoever gives them."""

from __future__ import annotations

import numpy as np

from pipeline.errors import DataError
from pipeline.models.base import Floats

SUM_TOLERANCE = 1e-6


def check_probabilities(probability: Floats) -> None:
    """Refuse probabilities that are not finite, not in [0, 1], or do not sum to 1.

    Raises
    ------
    DataError
        Naming the first bad row.
    """
    fine = np.isfinite(probability).all(axis=1) & (
        np.abs(probability.sum(axis=1) - 1) < SUM_TOLERANCE
    )
    fine &= ((probability >= 0) & (probability <= 1)).all(axis=1)
    if not fine.all():
        row = int(np.flatnonzero(~fine)[0])
        raise DataError(
            "the model's probabilities are not probabilities",
            where=f"row {row}",
            found=str(probability[row].tolist()),
            expected="finite values in [0, 1] that sum to 1",
        )
