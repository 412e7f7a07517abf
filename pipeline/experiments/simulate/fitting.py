"""The models of a simulation: one retrain for each turn, each kept as a file once it is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import DataError
from pipeline.evaluation.comparison import OutOfFold
from pipeline.evaluation.metrics import Scores
from pipeline.experiments.simulate.folders import SHORT
from pipeline.experiments.simulate.history import Cut, History
from pipeline.experiments.simulate.parcel import Parcel, unwrap, wrap
from pipeline.experiments.simulate.procedure import TOLD, Procedure, predictions_of
from pipeline.experiments.simulate.schedule import Turn
from pipeline.frames import read_frame
from pipeline.models.bundle import FILE
from registry.files import sha256, write_atomic

FOLDER = "turns"
STAMP = "%Y%m%dT%H%M"


@dataclass(frozen=True, slots=True)
class FittedTurn:
    """One turn's retrain as it lies on the disk.

    `file` is named by everything that it follows from; `why_not` is why there is no model,
    `heads` what was measured on each.
    """

    turn: Turn
    file: Path
    why_not: str
    heads: dict[str, Any]
    rows: int

    @property
    def scores(self) -> dict[str, Scores]:
        """Out-of-fold scores of each head."""
        return {name: told["scores"] for name, told in self.heads.items()}

    @property
    def chronological(self) -> bool:
        """Whether every fold's model was trained on candles before its test alone."""
        return all(told["chronological"] for told in self.heads.values())

    def bundle(self) -> dict[str, bytes]:
        """The files that a model is loaded from."""
        return unwrap(self.file.read_bytes())

    def out_of_fold(self) -> dict[str, OutOfFold]:
        """What the models of the folds predicted."""
        files = unwrap(self.file.read_bytes(), [FILE, *map(predictions_of, self.heads)])
        told = json.loads(files[FILE])["heads"]
        return {
            name: OutOfFold(
                frame=read_frame(files[predictions_of(name)]),
                classes=tuple(told[name]["classes"]),
                label=told[name]["label"],
                chronological=facts["chronological"],
            )
            for name, facts in self.heads.items()
        }


@dataclass
class Fitting:
    """Retrains at any turn and writes what came of it; see `pipeline.workers.Work`."""

    procedure: Procedure
    history: History
    folder: Path
    show: Callable[[str], None] | None = field(default=None, repr=False)

    def __call__(self, turn: Turn) -> None:
        """Retrain once; candles that a stage would stop at leave their reason instead."""
        if self.show is not None:
            self.show(f"retraining {turn.as_of:%Y-%m-%d %H:%M}")
        cut = self.cut(turn)
        files: dict[str, bytes]
        try:
            if isinstance(cut, DataError):
                raise cut
            files = self.procedure.retrain(cut, turn.as_of)
        except DataError as error:
            files = {TOLD: json.dumps({"why_not": str(error)}).encode()}
        write_atomic(self.file(turn), wrap(files))

    def size(self, turn: Turn) -> float:  # noqa: ARG002 - every turn has about as many candles
        """All turns take about as long."""
        return 1.0

    def stays(self, turn: Turn) -> bool:  # noqa: ARG002
        """What comes out lies on the disk."""
        return False

    def __getstate__(self) -> dict[str, Any]:
        """Everything but who is told of the progress."""
        return {**self.__dict__, "show": None}

    def cut(self, turn: Turn) -> Cut | DataError:
        """The candles of a turn's retrain, or why there are none."""
        try:
            return self.history.cut(*self.procedure.span(turn.as_of))
        except DataError as error:
            return error

    def file(self, turn: Turn) -> Path:
        """Where a turn's result lies, named by its moment and its candles."""
        cut = self.cut(turn)
        known = str(cut) if isinstance(cut, DataError) else cut.digest
        name = f"{turn.as_of:{STAMP}}-{sha256(known.encode())[:SHORT]}.zip"
        return self.folder / FOLDER / name

    def read(self, turn: Turn) -> FittedTurn:
        """What a turn's retrain left."""
        file = self.file(turn)
        told = json.loads(Parcel(file)[TOLD])
        candles = told.get("candles", {"rows": 0})
        return FittedTurn(
            turn, file, told.get("why_not", ""), told.get("heads", {}), candles["rows"]
        )


def keyed_moments(frame: pd.DataFrame) -> pd.DatetimeIndex:
    """Open times of a frame keyed by time among others."""
    return pd.DatetimeIndex(frame.index.get_level_values("time"))
