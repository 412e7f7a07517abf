"""Gradient-boosted trees by XGBoost: histograms in single precision, one thread, deterministic."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline.config import Record
from pipeline.models.base import FeatureTable, Files, Floats, Report, Rows, Samples
from pipeline.models.class_weight import ClassWeight, class_weighted
from pipeline.models.lean_import import without_sklearn

if TYPE_CHECKING:
    import xgboost

MODEL, DECLARATION = "model.ubj.zlib", "model.json"
LEVEL = 6  # of compression; a third of the size, and 9 gains no more
LARGEST = float(np.finfo(np.float32).max)
Singles = npt.NDArray[np.float32]


class XGBoost(Record):
    """XGBoost's classifier; names follow its own documentation."""

    n_estimators: Annotated[int, Field(ge=1, le=100_000, description="boosting rounds")]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    max_depth: Annotated[int, Field(ge=1, le=16)]
    min_child_weight: Annotated[float, Field(ge=0, description="curvature of a leaf's rows")] = 1.0
    gamma: Annotated[float, Field(ge=0, description="least gain of a cut")] = 0.0
    subsample: Annotated[float, Field(gt=0, le=1)] = 1.0
    colsample_bytree: Annotated[float, Field(gt=0, le=1)] = 1.0
    reg_lambda: Annotated[float, Field(ge=0)] = 1.0
    reg_alpha: Annotated[float, Field(ge=0)] = 0.0
    max_bin: Annotated[int, Field(ge=2, le=1024)] = 256
    class_weight: ClassWeight = "none"

    @property
    def lookback(self) -> int:
        """One row."""
        return 1

    def fit(self, samples: Samples, rng: np.random.Generator) -> FittedXGBoost:
        """Boost `n_estimators` rounds from the class shares; row weights are scaled to mean 1.

        Raises
        ------
        DataError
            When a value is not finite, or rows are too few.
        """
        with without_sklearn():
            import xgboost

        samples.check(least=2)
        weight = samples.weight / samples.weight.mean()
        weight = class_weighted(weight, samples.label, self.class_weight)
        data = xgboost.QuantileDMatrix(
            singles(samples.values),
            label=samples.label,
            weight=weight,
            max_bin=self.max_bin,
            nthread=1,
        )
        parameters = self._parameters(len(samples.classes), int(rng.integers(2**31 - 1)))
        booster = xgboost.train(parameters, data, num_boost_round=self.n_estimators)
        return FittedXGBoost(samples.table.columns, len(samples.classes), booster)

    def load(self, files: Files) -> FittedXGBoost:
        """Read XGBoost's own binary JSON."""
        with without_sklearn():
            import xgboost

        told = json.loads(files[DECLARATION])
        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray(zlib.decompress(files[MODEL])))
        return FittedXGBoost(tuple(told["columns"]), told["classes"], booster)

    def _parameters(self, classes: int, seed: int) -> dict[str, Any]:
        objective = {"objective": "multi:softprob", "num_class": classes}
        return {
            **(objective if classes > 2 else {"objective": "binary:logistic"}),  # noqa: PLR2004
            **self.model_dump(exclude={"n_estimators", "class_weight"}),
            "tree_method": "hist",
            "nthread": 1,
            "seed": seed,
            "verbosity": 0,
        }


@dataclass(frozen=True, slots=True)
class FittedXGBoost:
    """A booster, the columns it was fitted on, and how many classes it tells apart."""

    columns: tuple[str, ...]
    classes: int
    booster: xgboost.Booster

    def predict_proba(self, table: FeatureTable, rows: Rows) -> Floats:
        """Class probabilities; a binary head gives both columns."""
        table.check(self.columns)
        if len(rows) == 0:
            return np.empty((0, self.classes))
        found = self.booster.inplace_predict(singles(table.values[rows]))
        raw = np.asarray(found, "float64")
        whole = np.column_stack([1 - raw, raw]) if raw.ndim == 1 else raw
        return np.asarray(whole / whole.sum(axis=1, keepdims=True))

    def save(self) -> dict[str, bytes]:
        """XGBoost's binary JSON, compressed, and the ordered column names."""
        told = {"classes": self.classes, "columns": list(self.columns)}
        return {
            MODEL: zlib.compress(bytes(self.booster.save_raw("ubj")), LEVEL),
            DECLARATION: json.dumps(told, sort_keys=True).encode(),
        }

    def report(self) -> Report:
        """How many rounds were boosted."""
        return {"xgboost": {"rounds": self.booster.num_boosted_rounds()}}


def singles(values: Floats) -> Singles:
    """To single precision; what is beyond it becomes its largest number.

    Examples
    --------
    >>> singles(np.array([0.5, -1e300])).tolist()
    [0.5, -3.4028234663852886e+38]
    """
    return np.clip(values, -LARGEST, LARGEST).astype("float32")
