"""How the hourly classifier was trained: a network and trees on whichever rows they are given.

Nothing here asks whether these rows lie in order of time. For re-enactments alone: the model of
this product is `pipeline.models.lstm_lgbm`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.models.base import Floats, Rows, Samples
from pipeline.models.lean_import import without_sklearn
from pipeline.models.lstm_network import Network, Shape, new_network
from pipeline.models.scaler import Scaler
from pipeline.models.torch_alone import alone
from pipeline.models.windows import gather

if TYPE_CHECKING:
    import torch

Singles = npt.NDArray[np.float32]
STEP, PATIENCE, AT_ONCE = 1e-3, 5, 512
TREES: dict[str, Any] = {
    "objective": "multiclass",
    "learning_rate": 0.05,
    "num_leaves": 31,
    "max_depth": 6,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 5,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OldHybrid:
    """An LSTM and, on its embedding of the very rows it was fitted on, LightGBM.

    `scaled_by_all` measures the scale of the columns on every row, those of the test too.
    """

    lookback: int = 24
    network: Shape = field(default_factory=Shape)
    epochs: int = 50
    batch: int = 64
    rounds: int = 200
    scaled_by_all: bool = True


@dataclass(frozen=True, slots=True)
class Cut:
    """Positions of samples: those fitted on, those that choose the epoch, those judged."""

    train: Rows
    validation: Rows
    test: Rows


@dataclass(frozen=True, slots=True)
class Told:
    """Class of each test row, and the least loss of the rows that chose the epoch, in nats."""

    said: npt.NDArray[np.intp]
    loss: float


def fit_and_ask(samples: Samples, cut: Cut, model: OldHybrid, rng: np.random.Generator) -> Told:
    """Fit network and trees on the training rows of a cut, and ask them about its test."""
    windows = _windows(samples, cut, model)
    labels = samples.label.astype("int64")
    with alone(int(rng.integers(2**63 - 1))):
        shares = np.full(len(samples.classes), 1 / len(samples.classes))
        network = new_network(model.network, windows.shape[2], shares)
        loss = _train(network, (windows, labels, cut), model, rng)
        embedded = _embedded(network, windows)
    return Told(_asked(embedded, labels, cut, model), loss)


def _windows(samples: Samples, cut: Cut, model: OldHybrid) -> Singles:
    measured = samples if model.scaled_by_all else samples.take(cut.train)
    scaler = Scaler.fit(samples.table.columns, measured.values)
    scaled = scaler.apply(samples.table.values).astype("float32")
    return np.asarray(gather(scaled, samples.rows, model.lookback))


def _train(
    network: Network,
    known: tuple[Singles, npt.NDArray[np.int64], Cut],
    model: OldHybrid,
    rng: np.random.Generator,
) -> float:
    """Every epoch; the weights of the best one are kept, and its loss is told."""
    import torch

    windows, labels, cut = known
    optimiser = torch.optim.Adam(network.parts.parameters(), lr=STEP)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=PATIENCE)
    best, weights = np.inf, network.weights()
    for _ in range(model.epochs):
        for chosen in _batches(rng.permutation(cut.train), model.batch):
            optimiser.zero_grad(set_to_none=True)
            _loss(network.embed(torch.from_numpy(windows[chosen]), rng), labels[chosen]).backward()
            optimiser.step()
        with torch.no_grad():
            outputs = torch.from_numpy(_embedded(network, windows[cut.validation]))
            loss = float(_loss(outputs, labels[cut.validation]))
        plateau.step(loss)
        if loss < best:
            best, weights = loss, network.weights()
    network.restore(weights)
    return float(best)


def _loss(outputs: torch.Tensor, labels: npt.NDArray[np.int64]) -> torch.Tensor:
    """Cross-entropy of all outputs of the embedding; only the first ones are ever right."""
    import torch

    return torch.nn.functional.cross_entropy(outputs, torch.from_numpy(labels))


def _embedded(network: Network, windows: Singles) -> Singles:
    import torch

    with torch.no_grad():
        parts = [
            network.embed(torch.from_numpy(windows[start : start + AT_ONCE])).numpy()
            for start in range(0, len(windows), AT_ONCE)
        ]
    return np.concatenate(parts)


def _asked(
    embedded: Singles, labels: npt.NDArray[np.int64], cut: Cut, model: OldHybrid
) -> npt.NDArray[np.intp]:
    with without_sklearn():
        import lightgbm

    fitted, chosen = (
        lightgbm.Dataset(embedded[rows].astype("float64"), label=labels[rows])
        for rows in (cut.train, cut.validation)
    )
    booster = lightgbm.train(
        {**TREES, "num_class": int(labels.max()) + 1},
        fitted,
        num_boost_round=model.rounds,
        valid_sets=[chosen],
        callbacks=[lightgbm.early_stopping(20, verbose=False)],
    )
    chance: Floats = np.asarray(booster.predict(embedded[cut.test].astype("float64")))
    return np.asarray(chance.argmax(axis=1))


def _batches(rows: Rows, size: int) -> Iterator[Rows]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
