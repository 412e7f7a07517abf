"""What models say of the candles that came after them, as a predictor would have asked them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import DataError
from pipeline.experiments.simulate.fitting import STAMP, FittedTurn, keyed_moments
from pipeline.experiments.simulate.folders import SHORT
from pipeline.experiments.simulate.history import History
from pipeline.experiments.simulate.parcel import Parcel, as_array, as_bytes, wrap
from pipeline.experiments.simulate.procedure import Procedure
from pipeline.experiments.simulate.schedule import Turn
from pipeline.frames import key_by_market
from pipeline.live.loading import unpack
from pipeline.models.base import FeatureTable, Floats, Rows
from pipeline.models.windows import whole
from registry.files import sha256, write_atomic

FOLDER = "answers"
TOLD = "answers.json"
KEYS = ("trade", "time")


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn's candles, and the models that are asked about them."""

    turn: Turn
    models: tuple[FittedTurn, ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """What several models said of one turn's candles; `why_not` is why they were not asked.

    `models` are the numbers of their turns, `files` what was written, read when it is needed, and
    `tables` names each head's rows in it.
    """

    turn: Turn
    why_not: str
    models: tuple[int, ...]
    files: Mapping[str, bytes]
    tables: Mapping[str, str]
    market: str
    name: str = ""
    indexed: dict[str, pd.MultiIndex] = field(default_factory=dict, compare=False, repr=False)

    def keys(self, head: str) -> pd.MultiIndex:
        """The rows of a head, keyed (market, time), or by trade too."""
        table = self.tables[head]
        if table not in self.indexed:
            self.indexed[table] = _keys(self.files, table, self.market)
        return self.indexed[table]

    def chances(self, model: int, head: str) -> Floats:
        """A model's probabilities, shape (rows, classes)."""
        return np.asarray(as_array(self.files[said_by(model, head)]), "float64")

    def frame(self, model: int, head: str, classes: Sequence[str]) -> pd.DataFrame:
        """One head's probabilities as a frame, columns ``p_<class>``."""
        chances = self.chances(model, head)
        columns = {f"p_{name}": chances[:, k] for k, name in enumerate(classes)}
        return pd.DataFrame(columns, self.keys(head))


@dataclass
class Answering:
    """Asks models about a turn's candles and writes their answers; see `pipeline.workers.Work`."""

    procedure: Procedure
    history: History
    folder: Path
    show: Callable[[str], None] | None = field(default=None, repr=False)

    def __call__(self, asked: Asked) -> None:
        """Compute the features of the candles once and ask every model."""
        if self.show is not None:
            self.show(f"predicting {asked.turn.as_of:%Y-%m-%d %H:%M} and later")
        try:
            files = self._answers(asked)
        except DataError as error:
            files = {TOLD: json.dumps({"why_not": str(error)}).encode()}
        write_atomic(self.file(asked), wrap(files))

    def size(self, asked: Asked) -> float:
        """One for the features, one for each model."""
        return 1.0 + len(asked.models)

    def stays(self, asked: Asked) -> bool:  # noqa: ARG002
        """What comes out lies on the disk."""
        return False

    def __getstate__(self) -> dict[str, Any]:
        """Everything but who is told of the progress."""
        return {**self.__dict__, "show": None}

    def file(self, asked: Asked) -> Path:
        """Where the answers lie, named by the candles and the models."""
        start, end = self._span(asked.turn)
        try:
            known = self.history.cut(start, end).digest
        except DataError as error:
            known = str(error)
        told = [known, *(model.file.name for model in asked.models)]
        name = f"{asked.turn.as_of:{STAMP}}-{sha256(json.dumps(told).encode())[:SHORT]}.zip"
        return self.folder / FOLDER / name

    def read(self, asked: Asked) -> Answers:
        """What was answered."""
        file = self.file(asked)
        files = Parcel(file)
        why_not: str = json.loads(files[TOLD])["why_not"]
        models = () if why_not else tuple(model.turn.number for model in asked.models)
        sets, market = self.procedure.sets, self.procedure.market
        return Answers(asked.turn, why_not, models, files, sets, market, file.stem)

    def _span(self, turn: Turn) -> tuple[pd.Timestamp, pd.Timestamp]:
        return turn.as_of - self.procedure.reach, turn.until

    def _answers(self, asked: Asked) -> dict[str, bytes]:
        cut = self.history.cut(*self._span(asked.turn))
        frames = self.procedure.features(key_by_market(cut.candles, self.procedure.market))
        tables = {name: FeatureTable.from_frame(frame) for name, frame in frames.items()}
        rows = {
            name: _rows(frames[name], table, asked.turn, self.procedure.lookback)
            for name, table in tables.items()
        }
        files = {TOLD: json.dumps({"why_not": ""}).encode()}
        for name, table in tables.items():
            for level in KEYS:
                if level in table.index.names:
                    times = pd.DatetimeIndex(table.index.get_level_values(level)[rows[name]])
                    files[key_of(name, level)] = as_bytes(times.as_unit("ms").asi8)
        for model in asked.models:
            heads = unpack(model.bundle(), self.procedure.plugins).heads
            for head, own in self.procedure.sets.items():
                chances = heads[head].predict_proba(tables[own], rows[own])
                files[said_by(model.turn.number, head)] = as_bytes(chances)
        return files


def said_by(model: int, head: str) -> str:
    """Name of the file of a model's probabilities."""
    return f"said/{model}/{head}"


def key_of(table: str, level: str) -> str:
    """Name of the file of one level of a table's rows."""
    return f"keys/{table}/{level}"


def _rows(frame: pd.DataFrame, table: FeatureTable, turn: Turn, lookback: int) -> Rows:
    """The rows of a turn's candles that end a whole window; those of trades do by themselves.

    Raises
    ------
    DataError
        When there is none.
    """
    later = np.flatnonzero(keyed_moments(frame) >= turn.as_of).astype(np.intp)
    if "trade" not in frame.index.names:
        later = later[whole(table, later, lookback)]
    if not len(later):
        raise DataError(
            "no candle of the turn can be predicted",
            where=f"{turn.as_of.isoformat()} to {turn.until.isoformat()}",
            found=f"no {lookback} unbroken candles",
        )
    return later


def _keys(files: Mapping[str, bytes], table: str, market: str) -> pd.MultiIndex:
    present = {*files}
    names = [level for level in KEYS if key_of(table, level) in present]
    times = []
    for level in names:
        moments = np.asarray(as_array(files[key_of(table, level)]), "int64")
        times.append(pd.DatetimeIndex(moments.astype("datetime64[ms]"), tz="UTC"))
    markets = np.full(len(times[0]), market, object)
    return pd.MultiIndex.from_arrays([markets, *times], names=["market", *names])
