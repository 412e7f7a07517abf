"""A head that is not trained anew: the files of it that a registered version has.

They are known by one digest over names, sizes and bytes, so that what is told by it cannot change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from pipeline.config import Node
from pipeline.configuration.choices import KeptFrom
from pipeline.errors import DataError
from pipeline.features.columns_digest import columns_digest
from pipeline.frames import read_frame
from pipeline.models.bundle import FILE, HeadDeclaration
from registry.files import write_atomic
from registry.manifest import Manifest

DECLARATION, PREDICTIONS, TRAINING, MODEL = (
    "head.json",
    "predictions.parquet",
    "training.json",
    "model/",
)
JUDGED = ("confusion", "per_class")  # what an evaluation adds to the facts of a training
DECLARED = ("features", "label", "model", "classes", "learned", "calibrator")


@dataclass(frozen=True, slots=True)
class KeptHead:
    """A head's model, what it is made of, what it said out of fold and how it was trained."""

    files: Mapping[str, bytes]

    @classmethod
    def of(cls, contents: Mapping[str, bytes], head: str) -> Self:
        """Take a head out of the files of a registered version."""
        told = json.loads(contents[FILE])["heads"][head]
        trained = json.loads(contents[TRAINING])["heads"][head]
        files = {
            DECLARATION: _json({name: told[name] for name in DECLARED if name in told}),
            PREDICTIONS: contents[f"predictions/{head}.parquet"],
            TRAINING: _json({name: trained[name] for name in trained if name not in JUDGED}),
        }
        model = {f"{MODEL}{file}": contents[f"heads/{head}/{file}"] for file in told["files"]}
        return cls(files | model)

    @classmethod
    def read(cls, folder: Path, sha256: str) -> Self:
        """Read what `write` wrote.

        Raises
        ------
        DataError
            When it is not there, or not what the digest stands for.
        """
        root = folder / sha256
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        files = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
        if not files or Manifest.of(files).digest != sha256:
            raise DataError(
                "a head that is to be kept is missing or damaged",
                where=str(root),
                expected=f"sha256 {sha256[:12]}",
                fix="vintage retrain with skip=[HEAD] takes it out of the registry again",
            )
        return cls(files)

    @property
    def sha256(self) -> str:
        """Digest over all its files."""
        return Manifest.of(self.files).digest

    @property
    def made_of(self) -> dict[str, Any]:
        """Digest of its columns, its label and its classes: what a head of its name must share."""
        return made_of(json.loads(self.files[DECLARATION]))

    @property
    def training(self) -> Node:
        """Facts of its training, as `pipeline.fitting.training_facts.head_facts` tells them."""
        facts: Node = json.loads(self.files[TRAINING])
        return facts

    def write(self, folder: Path) -> None:
        """Write its files below `folder`, under its digest."""
        for name, content in self.files.items():
            write_atomic(folder / self.sha256 / name, content)

    def save(self) -> dict[str, bytes]:
        """Its model's own files."""
        own = [name for name in self.files if name.startswith(MODEL)]
        return {name.removeprefix(MODEL): self.files[name] for name in own}

    def declaration(self, kept: KeptFrom) -> HeadDeclaration:
        """What it is made of, and where it comes from."""
        return HeadDeclaration(**json.loads(self.files[DECLARATION]), kept=kept.model_dump())

    def predictions(self) -> pd.DataFrame:
        """What it said out of fold, without the outcomes, but for those that it learned itself."""
        joined = read_frame(self.files[PREDICTIONS])
        learned = "learned" in json.loads(self.files[DECLARATION])
        return joined.drop(columns=["ends_at"] if learned else ["ends_at", "label"])


def made_of(head: Mapping[str, Any]) -> dict[str, Any]:
    """Digest of a head's columns, its label and its classes, told alike for any two heads."""
    return {
        "columns": columns_digest(head["features"]["columns"]),
        "label": head["label"],
        "classes": list(head["classes"]),
    }


def _json(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True).encode()
