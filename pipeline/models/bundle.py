"""A bundle: all heads of one candidate as named files, without pickle.

``bundle.json`` says how to read the rest: per head the ordered columns, the model's
declaration, its label, classes, the digest of its feature set and its files under
``heads/<head>/``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from pipeline.config import Node, Record
from pipeline.features.columns_digest import columns_digest

FILE = "bundle.json"
FORMAT = 1
OPTIONAL = ("learned", "calibrator", "kept")


class HeadDeclaration(Record):
    """What a head is made of: triple of features, label and model.

    `learned` is what the label learned from the rows of the final refit, `calibrator` what the
    out-of-fold rows taught about the model's probabilities, `kept` which version it comes from
    where it was not trained.
    """

    features: Node
    label: Node
    model: Node
    classes: tuple[str, ...]
    learned: Node | None = None
    calibrator: Node | None = None
    kept: Node | None = None

    @property
    def feature_digest(self) -> str:
        """`FeatureSet.digest` of its features: which columns, and in which order."""
        return columns_digest(self.features["columns"])

    def to_node(self) -> Node:
        """As JSON values; what was learned stands there only where something was."""
        left_out = {name for name in OPTIONAL if getattr(self, name) is None}
        node = self.model_dump(mode="json", exclude=left_out)
        return {**node, "feature_digest": self.feature_digest}


class Saved(Protocol):
    """A model that can be written."""

    def save(self) -> dict[str, bytes]:
        """The model as named files."""
        ...


def pack(
    timeframe: str, heads: Mapping[str, HeadDeclaration], fitted: Mapping[str, Saved]
) -> dict[str, bytes]:
    """Write fitted heads as named files, the same bytes for the same models."""
    files: dict[str, bytes] = {}
    manifests: dict[str, Any] = {}
    for name, declaration in sorted(heads.items()):
        saved = fitted[name].save()
        files |= {f"heads/{name}/{file}": content for file, content in saved.items()}
        manifests[name] = {**declaration.to_node(), "files": sorted(saved)}
    manifest = {"format": FORMAT, "timeframe": timeframe, "heads": manifests}
    files[FILE] = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
    return files
