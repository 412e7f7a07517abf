"""A convolutional network over the newest candles, trained in torch and run as ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from pipeline.config import Record
from pipeline.models import scaler, training_log, windows
from pipeline.models.base import FeatureTable, Files, Floats, Report, Rows, Samples
from pipeline.models.lstm import DECLARATION, NETWORK, Facts, check_samples
from pipeline.models.network_training import Training, train
from pipeline.models.onnx_graph import open_session, run_graph
from pipeline.models.scaler import Scaler
from pipeline.models.tcn_graph import build_tcn
from pipeline.models.tcn_network import TcnShape, distances_of
from pipeline.models.tcn_training import Stretched
from pipeline.models.training_log import TrainingLog

if TYPE_CHECKING:
    import onnxruntime

AT_ONCE = 4096  # candles of one run, so that memory does not grow with the rows asked for


class Tcn(Record):
    """Causal convolutions over exactly `lookback` candles; each candle is computed once."""

    lookback: Annotated[int, Field(ge=2, le=10_000, description="candles")] = 24
    stretch: Annotated[int, Field(ge=1, le=100_000, description="rows that learn together")] = 32
    network: TcnShape = TcnShape()
    training: Training = Training(batch=256)

    def fit(self, samples: Samples, rng: np.random.Generator) -> FittedTcn:
        """Train on all samples but the purged newest tail that says when to stop.

        Raises
        ------
        DataError
            When a value is not finite, a window not whole, or rows are too few.
        """
        step = check_samples(samples, self.lookback)
        form = Stretched(self.lookback, self.stretch, self.network)
        trained = train(samples, form, self.training, rng)
        network = build_tcn(trained.weights, distances_of(self.lookback))
        return FittedTcn(
            scaler=trained.scaler,
            facts=Facts(self.lookback, step, samples.classes),
            network=network,
            session=open_session(network),
            log=trained.log,
        )

    def load(self, files: Files) -> FittedTcn:
        """Read the ONNX graph, the scaler and the declaration; torch stays out."""
        return FittedTcn(
            scaler=Scaler.read(files[scaler.FILE]),
            facts=Facts.read(files[DECLARATION]),
            network=files[NETWORK],
            session=open_session(files[NETWORK]),
            log=TrainingLog.read(files[training_log.FILE]),
        )


@dataclass(frozen=True, slots=True)
class FittedTcn:
    """The network in its stored form; probabilities are the softmax of its output."""

    scaler: Scaler
    facts: Facts
    network: bytes
    session: onnxruntime.InferenceSession
    log: TrainingLog

    @property
    def columns(self) -> tuple[str, ...]:
        """Feature columns in the order it was fitted on."""
        return self.scaler.columns

    def predict_proba(self, table: FeatureTable, rows: Rows) -> Floats:
        """Class probabilities of the windows that end at `rows`.

        Raises
        ------
        DataError
            When the columns differ, a value is not finite, or a window is not whole.
        """
        table.check(self.columns)
        windows.require_whole(table, rows, self.facts.lookback, self.facts.step)
        if len(rows) == 0:
            return np.empty((0, len(self.facts.classes)))
        needed = _candles_of(rows, self.facts.lookback, len(table.index))
        before = self.facts.lookback - 1
        logits = np.concatenate(
            [
                self._run(table, needed[start : start + before + AT_ONCE])
                for start in range(0, len(needed) - before, AT_ONCE)
            ]
        )[np.searchsorted(needed, rows) - before]
        grown = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True))

    def save(self) -> dict[str, bytes]:
        """ONNX graph, scaler, declaration and training log."""
        return {
            NETWORK: self.network,
            scaler.FILE: self.scaler.save(),
            DECLARATION: self.facts.save(self.columns),
            training_log.FILE: self.log.save(),
        }

    def report(self) -> Report:
        """The network's training."""
        return {"tcn": self.log.report()}

    def _run(self, table: FeatureTable, candles: Rows) -> Floats:
        scaled = self.scaler.apply(table.values[candles]).astype("float32")
        return run_graph(self.session, scaled).astype("float64")


def _candles_of(rows: Rows, lookback: int, count: int) -> Rows:
    """Every candle of the windows that end at `rows`, each once, in order.

    Where windows do not meet, their candles stand side by side all the same; no row that is asked
    for looks across.
    """
    depth = np.zeros(count + 1, np.intp)
    np.add.at(depth, rows - (lookback - 1), 1)
    np.add.at(depth, rows + 1, -1)
    return np.flatnonzero(depth.cumsum() > 0)
