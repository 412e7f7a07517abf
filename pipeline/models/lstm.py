"""A recurrent network over the newest candles, trained in torch and run as ONNX."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from pipeline.config import Record
from pipeline.models import scaler, training_log, windows
from pipeline.models.base import FeatureTable, Files, Floats, Report, Rows, Samples
from pipeline.models.lstm_network import Shape
from pipeline.models.lstm_training import train_network
from pipeline.models.network_training import Trained, Training
from pipeline.models.onnx_graph import Output, build_graph, open_session, run_graph
from pipeline.models.scaler import Scaler
from pipeline.models.training_log import TrainingLog

if TYPE_CHECKING:
    import onnxruntime

NETWORK, DECLARATION = "network.onnx", "model.json"
AT_ONCE = 256  # windows of one batch, so that memory does not grow with the rows asked for


class Lstm(Record):
    """LSTM layers over `lookback` candles, the last step through two dense layers to classes."""

    lookback: Annotated[int, Field(ge=1, le=10_000, description="candles")] = 24
    network: Shape = Shape()
    training: Training = Training()

    def fit(self, samples: Samples, rng: np.random.Generator) -> FittedLstm:
        """Train on all samples but the purged newest tail that says when to stop.

        Raises
        ------
        DataError
            When a value is not finite, a window not whole, or rows are too few.
        """
        step = check_samples(samples, self.lookback)
        trained = train_network(samples, self.lookback, self.network, self.training, rng)
        facts = Facts(self.lookback, step, samples.classes)
        return FittedLstm(WindowNetwork.of(trained, facts, "logits"), trained.log)

    def load(self, files: Files) -> FittedLstm:
        """Read the ONNX graph, the scaler and the declaration; torch stays out."""
        return FittedLstm(WindowNetwork.load(files), TrainingLog.read(files[training_log.FILE]))


@dataclass(frozen=True, slots=True)
class FittedLstm:
    """The network with its training head; probabilities are the softmax of its output."""

    network: WindowNetwork
    log: TrainingLog

    @property
    def columns(self) -> tuple[str, ...]:
        """Feature columns in the order it was fitted on."""
        return self.network.scaler.columns

    def predict_proba(self, table: FeatureTable, rows: Rows) -> Floats:
        """Class probabilities of the windows that end at `rows`."""
        logits = self.network.outputs(table, rows)
        grown = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True))

    def save(self) -> dict[str, bytes]:
        """ONNX graph, scaler, declaration and training log."""
        return self.network.save() | {training_log.FILE: self.log.save()}

    def report(self) -> Report:
        """The network's training."""
        return {"lstm": self.log.report()}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a network must be told beside its weights; `step` in milliseconds."""

    lookback: int
    step: int
    classes: tuple[str, ...]

    @classmethod
    def read(cls, content: bytes) -> Facts:
        """Rebuild what `save` wrote."""
        told = json.loads(content)
        return cls(told["lookback"], told["step_ms"], tuple(told["classes"]))

    def save(self, columns: tuple[str, ...]) -> bytes:
        """JSON, with the columns for whoever reads it."""
        told = {
            "classes": list(self.classes),
            "columns": list(columns),
            "lookback": self.lookback,
            "step_ms": self.step,
        }
        return json.dumps(told, sort_keys=True).encode()


@dataclass(frozen=True, slots=True)
class WindowNetwork:
    """A network in its stored form: scaled windows in, embedding or logits out."""

    scaler: Scaler
    facts: Facts
    network: bytes
    session: onnxruntime.InferenceSession

    @classmethod
    def of(cls, trained: Trained, facts: Facts, output: Output) -> WindowNetwork:
        """Turn trained weights into the stored form."""
        network = build_graph(trained.weights, output)
        return cls(trained.scaler, facts, network, open_session(network))

    @classmethod
    def load(cls, files: Files) -> WindowNetwork:
        """Rebuild what `save` wrote."""
        return cls(
            scaler=Scaler.read(files[scaler.FILE]),
            facts=Facts.read(files[DECLARATION]),
            network=files[NETWORK],
            session=open_session(files[NETWORK]),
        )

    def outputs(self, table: FeatureTable, rows: Rows) -> Floats:
        """Outputs of the windows that end at `rows`, shape (rows, outputs).

        Raises
        ------
        DataError
            When the columns differ, a value is not finite, or a window is not whole.
        """
        table.check(self.scaler.columns)
        windows.require_whole(table, rows, self.facts.lookback, self.facts.step)
        parts = [
            self._batch(table, rows[start : start + AT_ONCE])
            for start in range(0, max(len(rows), 1), AT_ONCE)
        ]
        return np.concatenate(parts)

    def save(self) -> dict[str, bytes]:
        """Files by name; the graph is the only copy of the weights."""
        return {
            NETWORK: self.network,
            scaler.FILE: self.scaler.save(),
            DECLARATION: self.facts.save(self.scaler.columns),
        }

    def _batch(self, table: FeatureTable, rows: Rows) -> Floats:
        if len(rows) == 0:
            return np.empty((0, self.session.get_outputs()[0].shape[1]))
        gathered = windows.gather(table.values, rows, self.facts.lookback)
        scaled = self.scaler.apply(np.asarray(gathered, "float64")).astype("float32")
        return run_graph(self.session, scaled).astype("float64")


def check_samples(samples: Samples, lookback: int) -> int:
    """Refuse values that are not finite and windows that are not whole; the table's step.

    Raises
    ------
    DataError
        Naming the column or the row.
    """
    samples.table.check(samples.table.columns)
    step = windows.step_of(samples.table)
    windows.require_whole(samples.table, samples.rows, lookback, step)
    return step
