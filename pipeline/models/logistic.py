"""Multinomial logistic regression on the newest row: the simplest model that can learn."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline.config import Record
from pipeline.models import scaler
from pipeline.models.base import FeatureTable, Files, Floats, Report, Rows, Samples
from pipeline.models.scaler import Scaler

FILE = "logistic.json"


class Logistic(Record):
    """Linear in the scaled columns, with an L2 penalty (scikit-learn's LogisticRegression)."""

    penalty: Annotated[float, Field(gt=0, description="L2; weight of the squared coefficients")]
    max_iter: Annotated[int, Field(ge=1, description="steps of the solver, L-BFGS")]

    @property
    def lookback(self) -> int:
        """One row."""
        return 1

    def fit(self, samples: Samples, rng: np.random.Generator) -> FittedLogistic:  # noqa: ARG002
        """Fit on the scaled rows, weights scaled to mean 1; no chance is involved.

        Raises
        ------
        DataError
            When a value is not finite, or there is no row.
        """
        samples.table.check(samples.table.columns)
        found = Scaler.fit(samples.table.columns, samples.values)
        present = np.unique(samples.label)
        coefficients = np.zeros((len(present), len(found.columns)))
        intercepts = np.zeros(len(present))
        if len(present) > 1:
            coefficients, intercepts = self._solve(samples, found.apply(samples.values))
        return FittedLogistic(
            scaler=found,
            classes=len(samples.classes),
            present=tuple(present.tolist()),
            coefficients=np.ascontiguousarray(coefficients),  # another layout, other last bits
            intercepts=intercepts,
        )

    def load(self, files: Files) -> FittedLogistic:
        """Read the coefficients."""
        told = json.loads(files[FILE])
        return FittedLogistic(
            scaler=Scaler.read(files[scaler.FILE]),
            classes=told["classes"],
            present=tuple(told["present"]),
            coefficients=np.array(told["coefficients"]),
            intercepts=np.array(told["intercepts"]),
        )

    def _solve(self, samples: Samples, scaled: Floats) -> tuple[Floats, Floats]:
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        weight = samples.weight / samples.weight.mean()
        solver = LogisticRegression(C=1 / self.penalty, max_iter=self.max_iter)
        with threadpool_limits(1):
            solver.fit(scaled, samples.label, sample_weight=weight)
        found, intercepts = solver.coef_, solver.intercept_
        if len(found) == 1:  # two classes: scikit-learn tells the second one only
            return np.vstack([0 * found, found]), np.concatenate([0 * intercepts, intercepts])
        return found, intercepts


@dataclass(frozen=True, slots=True)
class FittedLogistic:
    """Coefficients of the classes that happened; the others have probability 0."""

    scaler: Scaler
    classes: int
    present: tuple[int, ...]
    coefficients: npt.NDArray[np.float64]
    intercepts: npt.NDArray[np.float64]

    @property
    def columns(self) -> tuple[str, ...]:
        """Feature columns in the order it was fitted on."""
        return self.scaler.columns

    def predict_proba(self, table: FeatureTable, rows: Rows) -> Floats:
        """Softmax of the linear scores, in plain numpy."""
        table.check(self.columns)
        scaled = self.scaler.apply(table.values[rows])
        score = np.einsum("rc,kc->rk", scaled, self.coefficients) + self.intercepts
        grown = np.exp(score - score.max(axis=1, keepdims=True))
        probability = np.zeros((len(rows), self.classes))
        probability[:, self.present] = grown / grown.sum(axis=1, keepdims=True)
        return probability

    def save(self) -> dict[str, bytes]:
        """Scaler and coefficients as JSON."""
        told = {
            "classes": self.classes,
            "present": list(self.present),
            "coefficients": self.coefficients.tolist(),
            "intercepts": self.intercepts.tolist(),
        }
        return {scaler.FILE: self.scaler.save(), FILE: json.dumps(told, sort_keys=True).encode()}

    def report(self) -> Report:
        """Nothing: one solution, reached without epochs."""
        return {}
