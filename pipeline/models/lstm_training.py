"""Train the network on purged samples in order of time; torch is imported here and not before."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline.config import Record
from pipeline.errors import DataError
from pipeline.models.base import Floats, Rows, Samples
from pipeline.models.lstm_network import Network, Shape, Weights, new_network
from pipeline.models.scaler import Scaler
from pipeline.models.windows import gather
from pipeline.splits.fold import purge

if TYPE_CHECKING:
    import torch

LEAST = 10  # rows of a part
EVALUATED = 512  # windows at once, where no gradient is kept


class Training(Record):
    """How the network is trained: Adam, smaller steps on a plateau, an early stop."""

    max_epochs: Annotated[int, Field(ge=1, le=10_000)] = 50
    patience: Annotated[int, Field(ge=1, description="epochs without a better loss")] = 8
    validation_share: Annotated[float, Field(gt=0, lt=1, description="newest rows")] = 0.15
    batch: Annotated[int, Field(ge=1, le=65_536, description="windows")] = 64
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    plateau_patience: Annotated[int, Field(ge=0, description="epochs before a smaller step")] = 3
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    gradient_norm: Annotated[float, Field(gt=0, description="longer gradients are cut")] = 1.0
    precision: Literal["f32", "bf16"] = "f32"


@dataclass(frozen=True, slots=True)
class TrainingLog:
    """Facts of one training; epochs count from 1, losses are weighted cross-entropies in nats."""

    lstm_rows: int
    validation_rows: int
    lightgbm_rows: int
    epochs: int
    best_epoch: int
    best_validation_loss: float
    training_losses: tuple[float, ...]
    validation_losses: tuple[float, ...]

    @classmethod
    def read(cls, content: bytes) -> TrainingLog:
        """Rebuild what `save` wrote."""
        told: dict[str, Any] = json.loads(content)
        told |= {key: tuple(told[key]) for key in ("training_losses", "validation_losses")}
        return cls(**told)

    def save(self) -> bytes:
        """JSON; no duration and no moment, so equal trainings give equal bytes."""
        return json.dumps(asdict(self), sort_keys=True).encode()


@dataclass(frozen=True, slots=True)
class Trained:
    """The best epoch's weights, the scaler of its training rows, and what happened."""

    weights: Weights
    scaler: Scaler
    log: TrainingLog


def cut_in_time(samples: Samples, share: float, told: str) -> tuple[Samples, Samples]:
    """Cut samples into an older part of about `share` and a newer one, both in order of time.

    Older samples whose label ends after the newer part's first candle opened are dropped.

    Raises
    ------
    DataError
        When a part has fewer than `LEAST` rows.
    """
    order = np.argsort(samples.time.asi8, kind="stable")
    cut = round(len(order) * share)
    older, newer = order[:cut], order[cut:]
    if len(newer):
        older = purge(older, newer, samples.time, samples.ends_at).train
    if min(len(older), len(newer)) < LEAST:
        raise DataError(
            f"too few rows {told}",
            found=f"{len(older)} older rows after the purge, {len(newer)} newer ones",
            expected=f"at least {LEAST} of each",
            fix="give more history (recipe.history_days) or choose a smaller model",
        )
    return samples.take(older), samples.take(newer)


def train_network(
    samples: Samples, lookback: int, shape: Shape, training: Training, rng: np.random.Generator
) -> Trained:
    """Train on all samples but a purged newest tail, whose loss says when to stop.

    The windows of all samples must be whole. One thread; `rng` is the only source of
    chance, and torch's own generator and thread count are left as they were.

    Raises
    ------
    DataError
        When there are too few rows, or the loss is never finite.
    """
    older, newer = cut_in_time(samples, 1 - training.validation_share, "to train and stop early")
    scaler = Scaler.fit(samples.table.columns, older.values)
    scaled = scaler.apply(samples.table.values).astype("float32")
    parts = _Part.of(older, scaled, lookback), _Part.of(newer, scaled, lookback)
    chance = np.random.default_rng(int(rng.integers(2**63 - 1)))
    with _alone(int(chance.integers(2**63 - 1))):
        network = new_network(shape, scaled.shape[1], _shares(older))
        log = _train(network, parts, training, chance)
        return Trained(network.weights(), scaler, log)


@dataclass(frozen=True, slots=True)
class _Part:
    """Windows over one scaled table, gathered batch by batch."""

    scaled: npt.NDArray[np.float32]
    rows: Rows
    label: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float32]
    lookback: int

    @classmethod
    def of(cls, samples: Samples, scaled: npt.NDArray[np.float32], lookback: int) -> _Part:
        weight = (samples.weight / samples.weight.mean()).astype("float32")
        return cls(scaled, samples.rows, samples.label.astype("int64"), weight, lookback)

    def loss(
        self, network: Network, chosen: Rows, chance: np.random.Generator | None = None
    ) -> torch.Tensor:
        """Weighted cross-entropy of each chosen window."""
        import torch

        windows = torch.from_numpy(gather(self.scaled, self.rows[chosen], self.lookback))
        logits = network.logits(windows, chance).float()
        label = torch.from_numpy(self.label[chosen])
        loss = torch.nn.functional.cross_entropy(logits, label, reduction="none")
        return loss * torch.from_numpy(self.weight[chosen])


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """One torch thread and a generator of our own, both given back."""
    import torch

    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.default_generator.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _shares(samples: Samples) -> Floats:
    """Class shares with one row added to each class, so that none is 0."""
    counts = np.bincount(samples.label, minlength=len(samples.classes)) + 1.0
    return np.asarray(counts / counts.sum())


def _train(
    network: Network,
    parts: tuple[_Part, _Part],
    training: Training,
    chance: np.random.Generator,
) -> TrainingLog:
    import torch

    train, validation = parts
    optimiser = torch.optim.Adam(network.parts.parameters(), lr=training.learning_rate, fused=True)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=training.plateau_factor, patience=training.plateau_patience
    )
    log = TrainingLog(len(train.rows), len(validation.rows), 0, 0, 0, math.inf, (), ())
    best = network.weights()
    while log.epochs < training.max_epochs and log.epochs - log.best_epoch < training.patience:
        trained = _epoch(network, optimiser, train, training, chance)
        losses = trained, _evaluate(network, validation)
        plateau.step(losses[1])
        log = _after_epoch(log, *losses)
        best = network.weights() if log.best_epoch == log.epochs else best
    network.restore(best)
    if not log.best_epoch:
        raise DataError(
            "the network's loss is not finite in any epoch",
            found=str(log.validation_losses[-1]),
            fix="choose a smaller learning_rate",
        )
    return log


def _epoch(
    network: Network,
    optimiser: torch.optim.Optimizer,
    part: _Part,
    training: Training,
    chance: np.random.Generator,
) -> float:
    """One pass in an order drawn anew; the mean loss on the way."""
    import torch

    network.parts.train()
    order = chance.permutation(len(part.rows))
    total = 0.0
    for start in range(0, len(order), training.batch):
        chosen = order[start : start + training.batch]
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=training.precision == "bf16"):
            loss = part.loss(network, chosen, chance)
        loss.mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parts.parameters(), training.gradient_norm)
        optimiser.step()
        total += float(loss.detach().sum())
    return total / len(order)


def _evaluate(network: Network, part: _Part) -> float:
    import torch

    network.parts.eval()
    everything = np.arange(len(part.rows))
    with torch.no_grad():
        losses = [
            float(part.loss(network, everything[start : start + EVALUATED]).sum())
            for start in range(0, len(everything), EVALUATED)
        ]
    return sum(losses) / len(everything)


def _after_epoch(log: TrainingLog, trained: float, validated: float) -> TrainingLog:
    better = validated < log.best_validation_loss
    return replace(
        log,
        epochs=log.epochs + 1,
        best_epoch=log.epochs + 1 if better else log.best_epoch,
        best_validation_loss=validated if better else log.best_validation_loss,
        training_losses=(*log.training_losses, trained),
        validation_losses=(*log.validation_losses, validated),
    )
