"""From a bundle's verified bytes to heads that can predict."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.build import build
from pipeline.config import Node
from pipeline.configuration.parts import memory_of
from pipeline.errors import DataError
from pipeline.features.feature_set import FeatureSet
from pipeline.models.base import FeatureTable, Files, Fitted, Floats, Rows
from pipeline.models.bundle import FILE, FORMAT
from pipeline.models.calibration import Calibrator


@dataclass(frozen=True, slots=True)
class LoadedHead:
    """A head ready to predict.

    `memory` candles make its newest row of features, back to the entry of its trade where it
    has trades; `learned` is what its label learned, where it learns.
    """

    feature_set: FeatureSet
    fitted: Fitted
    classes: tuple[str, ...]
    lookback: int
    memory: int
    learned: Node | None = None
    calibrator: Calibrator | None = None

    def predict_proba(self, table: FeatureTable, rows: Rows) -> Floats:
        """The model's probabilities, calibrated where the bundle has a calibrator."""
        probability = self.fitted.predict_proba(table, rows)
        return self.calibrator.apply(probability) if self.calibrator else probability


@dataclass(frozen=True, slots=True)
class LoadedBundle:
    """All heads of a version, ready to predict."""

    timeframe: str
    heads: Mapping[str, LoadedHead]


def unpack(files: Files, plugins: Sequence[str] = ()) -> LoadedBundle:
    """Read the heads of a bundle whose bytes have been verified.

    Raises
    ------
    DataError
        When the bundle has another format.
    """
    manifest = json.loads(files[FILE])
    if manifest["format"] != FORMAT:
        raise DataError(
            "the bundle has another format", found=str(manifest["format"]), expected=str(FORMAT)
        )
    heads = {name: _head(name, told, files, plugins) for name, told in manifest["heads"].items()}
    return LoadedBundle(manifest["timeframe"], heads)


def _head(name: str, told: Node, files: Files, plugins: Sequence[str]) -> LoadedHead:
    where = f"{FILE}, head {name}"
    model = build(told["model"], where, plugins)
    calibrator = told.get("calibrator")
    own = {file: files[f"heads/{name}/{file}"] for file in told["files"]}
    feature_set: FeatureSet = build(told["features"], where, plugins)
    return LoadedHead(
        feature_set=feature_set,
        fitted=model.load(own),
        classes=tuple(told["classes"]),
        lookback=model.lookback,
        memory=_memory(feature_set, told, where, plugins),
        learned=told.get("learned"),
        calibrator=build(calibrator, where, plugins) if calibrator else None,
    )


def _memory(feature_set: FeatureSet, declared: Node, where: str, plugins: Sequence[str]) -> int:
    if not feature_set.of_trades:
        return feature_set.memory
    label = build(declared["label"], where, plugins)
    return memory_of({"features": feature_set, "label": label})
