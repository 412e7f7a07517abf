"""Gradient-boosted trees by LightGBM, one thread, deterministic."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from pipeline.config import Record
from pipeline.models.base import FeatureTable, Files, Floats, Report, Rows, Samples
from pipeline.models.class_weight import ClassWeight, class_weighted
from pipeline.models.lean_import import without_sklearn

if TYPE_CHECKING:
    import lightgbm

MODEL, COLUMNS = "model.txt", "columns.json"


class LightGBM(Record):
    """LightGBM's classifier; names follow its own documentation.

    With `class_weight` ``balanced`` the rows of every class weigh as much together, so that a
    rare class is not drowned; its probabilities then say more than how often it comes.
    """

    n_estimators: Annotated[int, Field(ge=1, le=100_000, description="boosting rounds")]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    num_leaves: Annotated[int, Field(ge=2, le=4096)]
    max_depth: Annotated[int, Field(ge=-1, le=64, description="-1 is unlimited")]
    min_data_in_leaf: Annotated[int, Field(ge=1, description="rows")]
    feature_fraction: Annotated[float, Field(gt=0, le=1)]
    bagging_fraction: Annotated[float, Field(gt=0, le=1)]
    bagging_freq: Annotated[int, Field(ge=0, description="rounds; 0 is never")]
    lambda_l2: Annotated[float, Field(ge=0)]
    max_bin: Annotated[int, Field(ge=2, le=1024)] = 255
    class_weight: ClassWeight = "none"

    @property
    def lookback(self) -> int:
        """One row."""
        return 1

    def fit(self, samples: Samples, rng: np.random.Generator) -> FittedLightGBM:
        """Boost `n_estimators` rounds; row weights are scaled to mean 1.

        Raises
        ------
        DataError
            When a value is not finite, or rows are too few.
        """
        with without_sklearn():
            import lightgbm

        samples.check(least=2)
        columns = samples.table.columns
        weight = class_weighted(samples.weight, samples.label, self.class_weight)
        data = lightgbm.Dataset(
            samples.values,
            label=samples.label,
            weight=weight / weight.mean(),
            feature_name=list(columns),
            free_raw_data=True,
        )
        parameters = self._parameters(len(samples.classes), int(rng.integers(2**31 - 1)))
        booster = lightgbm.train(parameters, data, num_boost_round=self.n_estimators)
        return FittedLightGBM(columns, booster)

    def load(self, files: Files) -> FittedLightGBM:
        """Read LightGBM's own text format."""
        with without_sklearn():
            import lightgbm

        columns = tuple(json.loads(files[COLUMNS]))
        booster = lightgbm.Booster(model_str=files[MODEL].decode())
        return FittedLightGBM(columns, booster)

    def _parameters(self, classes: int, seed: int) -> dict[str, Any]:
        objective = {"objective": "multiclass", "num_class": classes}
        return {
            **(objective if classes > 2 else {"objective": "binary"}),  # noqa: PLR2004
            **self.model_dump(exclude={"n_estimators", "class_weight"}),
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "seed": seed,
            "verbosity": -1,
        }


@dataclass(frozen=True, slots=True)
class FittedLightGBM:
    """A booster and the columns it was fitted on (LightGBM itself takes any order silently)."""

    columns: tuple[str, ...]
    booster: lightgbm.Booster

    def predict_proba(self, table: FeatureTable, rows: Rows) -> Floats:
        """Class probabilities; a binary head gives both columns."""
        table.check(self.columns)
        if len(rows) == 0:
            return np.empty((0, max(self.booster.num_model_per_iteration(), 2)))
        raw = np.asarray(self.booster.predict(table.values[rows], num_threads=1))
        return np.column_stack([1 - raw, raw]) if raw.ndim == 1 else raw

    def save(self) -> dict[str, bytes]:
        """LightGBM's text and the ordered column names."""
        return {
            MODEL: self.booster.model_to_string().encode(),
            COLUMNS: json.dumps(list(self.columns)).encode(),
        }

    def report(self) -> Report:
        """How many rounds were boosted."""
        return {"lightgbm": {"rounds": self.booster.current_iteration()}}
