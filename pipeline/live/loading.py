"""From a bundle's verified bytes to heads that can predict."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.build import build
from pipeline.config import Node
from pipeline.errors import DataError
from pipeline.features.feature_set import FeatureSet
from pipeline.models.base import Files, Fitted
from pipeline.models.bundle import FILE, FORMAT


@dataclass(frozen=True, slots=True)
class LoadedHead:
    """A head ready to predict; `learned` is what its label learned, where it learns."""

    feature_set: FeatureSet
    fitted: Fitted
    classes: tuple[str, ...]
    lookback: int
    learned: Node | None = None


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
    own = {file: files[f"heads/{name}/{file}"] for file in told["files"]}
    return LoadedHead(
        feature_set=build(told["features"], where, plugins),
        fitted=model.load(own),
        classes=tuple(told["classes"]),
        lookback=model.lookback,
        learned=told.get("learned"),
    )
