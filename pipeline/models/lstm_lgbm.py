"""A recurrent network that describes the newest candles, and trees that judge the description."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from pipeline.config import Record
from pipeline.models import lightgbm, training_log
from pipeline.models.base import FeatureTable, Files, Floats, Report, Rows, Samples
from pipeline.models.lightgbm import FittedLightGBM, LightGBM
from pipeline.models.lstm import Facts, WindowNetwork, check_samples
from pipeline.models.lstm_network import Shape
from pipeline.models.lstm_training import train_network
from pipeline.models.network_training import Training, cut_in_time
from pipeline.models.training_log import TrainingLog

TREES = "trees.txt"


class LstmLgbm(Record):
    """An LSTM fitted on the older samples; LightGBM on its embedding of the newer ones.

    The trees never see an embedding of a row that the network was fitted on: such rows look
    better described than any new one will be.
    """

    lookback: Annotated[int, Field(ge=1, le=10_000, description="candles")] = 24
    lstm_share: Annotated[float, Field(gt=0, lt=1, description="of the samples, oldest first")]
    network: Shape = Shape()
    training: Training = Training()
    trees: LightGBM

    def fit(self, samples: Samples, rng: np.random.Generator) -> FittedLstmLgbm:
        """Train one network on the older part, purged, then trees on the newer part.

        Raises
        ------
        DataError
            When a value is not finite, a window not whole, or rows are too few.
        """
        step = check_samples(samples, self.lookback)
        older, newer = cut_in_time(samples, self.lstm_share, "for a network and trees")
        trained = train_network(older, self.lookback, self.network, self.training, rng)
        facts = Facts(self.lookback, step, samples.classes)
        network = WindowNetwork.of(trained, facts, "embedding")
        described = embedding_table(network, newer.table, newer.rows)
        own = replace(newer, table=described, rows=np.arange(len(newer.rows)))
        log = replace(trained.log, trees_rows=len(newer.rows))
        return FittedLstmLgbm(network, self.trees.fit(own, rng), log)

    def load(self, files: Files) -> FittedLstmLgbm:
        """Read the ONNX graph, the trees' text and the rest; torch stays out."""
        import lightgbm as library

        network = WindowNetwork.load(files)
        booster = library.Booster(model_str=files[TREES].decode())
        trees = FittedLightGBM(tuple(booster.feature_name()), booster)
        return FittedLstmLgbm(network, trees, TrainingLog.read(files[training_log.FILE]))


@dataclass(frozen=True, slots=True)
class FittedLstmLgbm:
    """The network without its training head, and the trees behind it."""

    network: WindowNetwork
    trees: FittedLightGBM
    log: TrainingLog

    @property
    def columns(self) -> tuple[str, ...]:
        """Feature columns in the order it was fitted on."""
        return self.network.scaler.columns

    def predict_proba(self, table: FeatureTable, rows: Rows) -> Floats:
        """Class probabilities of the windows that end at `rows`."""
        described = embedding_table(self.network, table, rows)
        if len(rows) == 0:
            return np.empty((0, len(self.network.facts.classes)))
        return self.trees.predict_proba(described, np.arange(len(rows)))

    def save(self) -> dict[str, bytes]:
        """ONNX graph, trees, scaler, declaration and training log."""
        trees = self.trees.save()[lightgbm.MODEL]
        return self.network.save() | {TREES: trees, training_log.FILE: self.log.save()}

    def report(self) -> Report:
        """The network's training, and the trees behind it."""
        trees = self.trees.report()["lightgbm"]
        return {
            "lstm": self.log.report(),
            "lightgbm": {"rows": self.log.trees_rows, **trees},
        }


def embedding_table(network: WindowNetwork, table: FeatureTable, rows: Rows) -> FeatureTable:
    """The embedding of each row as a feature table of its own."""
    values = network.outputs(table, rows)
    columns = tuple(f"embedding_{k}" for k in range(values.shape[1]))
    return FeatureTable(columns=columns, values=values, index=table.index[rows])
