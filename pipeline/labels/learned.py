"""Labels whose classes are cut by a figure that only training rows may teach."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.arrays import FloatArray
from pipeline.config import Record

Classes = npt.NDArray[np.int8]


class LearnedRule(Protocol):
    """What a label learned: it turns outcomes into classes and can be written down."""

    def assign(self, outcomes: FloatArray) -> Classes:
        """Class of each outcome."""
        ...

    def model_dump(self) -> dict[str, Any]:
        """The rule as JSON values."""
        ...


class LearnedLabel(Protocol):
    """A label that measures an outcome, and learns from training rows where a class begins."""

    def learn(self, outcomes: FloatArray) -> LearnedRule:
        """Learn from the outcomes of training rows."""
        ...


class LearnedThreshold(Record):
    """A line between two classes."""

    threshold: float

    def assign(self, outcomes: FloatArray) -> Classes:
        """1 where the outcome lies above the threshold, else 0.

        Examples
        --------
        >>> LearnedThreshold(threshold=0.5).assign(np.array([0.5, 0.6])).tolist()
        [0, 1]
        """
        return (outcomes > self.threshold).astype("int8")
