"""A bundle: all heads of one candidate as named files, without pickle.

``bundle.json`` says how to read the rest: per head the ordered columns, the model's
declaration, its label, classes and files under ``heads/<head>/``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.config import Node, Record
from pipeline.models.base import Fitted

FILE = "bundle.json"
FORMAT = 1


class HeadDeclaration(Record):
    """What a head is made of: triple of features, label and model.

    `learned` is what the label learned from the rows of the final refit.
    """

    features: Node
    label: Node
    model: Node
    classes: tuple[str, ...]
    learned: Node | None = None

    def told(self) -> Node:
        """As JSON values; what was learned stands there only where something was."""
        left_out = {"learned"} if self.learned is None else set()
        return self.model_dump(mode="json", exclude=left_out)


def pack(
    timeframe: str, heads: Mapping[str, HeadDeclaration], fitted: Mapping[str, Fitted]
) -> dict[str, bytes]:
    """Write fitted heads as named files, the same bytes for the same models."""
    files: dict[str, bytes] = {}
    told: dict[str, Any] = {}
    for name, declaration in sorted(heads.items()):
        saved = fitted[name].save()
        files |= {f"heads/{name}/{file}": content for file, content in saved.items()}
        told[name] = {**declaration.told(), "files": sorted(saved)}
    manifest = {"format": FORMAT, "timeframe": timeframe, "heads": told}
    files[FILE] = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
    return files
