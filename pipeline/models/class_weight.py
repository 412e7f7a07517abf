"""Rare classes that weigh as much as common ones, for every model of trees alike."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.models.base import Floats

ClassWeight = Literal["none", "balanced"]


def class_weighted(
    weight: Floats, label: npt.NDArray[np.int8], class_weight: ClassWeight
) -> Floats:
    """Row weights after which every class that came weighs as much as the heaviest.

    With two classes and fewer ones than zeros this is XGBoost's ``scale_pos_weight``, zeros / ones
    by weight. Probabilities of a balanced fit say more than how often a rare class comes. No row
    is made up, and ``none`` leaves the weights as they are.

    Examples
    --------
    >>> class_weighted(np.ones(4), np.array([0, 0, 0, 1], "int8"), "balanced").tolist()
    [1.0, 1.0, 1.0, 3.0]
    """
    if class_weight == "none":
        return weight
    held = np.bincount(label, weight)
    return np.asarray(weight * (held.max() / held[label]))
