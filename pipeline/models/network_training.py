"""Train a network on purged samples in order of time; torch is imported here and not before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline.config import Record
from pipeline.errors import DataError
from pipeline.models.base import Floats, Rows, Samples
from pipeline.models.network_parts import NetworkParts, Weights
from pipeline.models.scaler import Scaler
from pipeline.models.torch_alone import alone
from pipeline.models.training_log import TrainingLog
from pipeline.splits.fold import purge

if TYPE_CHECKING:
    import torch

LEAST = 10  # rows of a part
EVALUATED = 512  # rows at once, where no gradient is kept
Singles = npt.NDArray[np.float32]


class Training(Record):
    """How the network is trained: Adam, smaller steps on a plateau, an early stop."""

    max_epochs: Annotated[int, Field(ge=1, le=10_000)] = 50
    patience: Annotated[int, Field(ge=1, description="epochs without a better loss")] = 8
    validation_share: Annotated[float, Field(gt=0, lt=1, description="newest rows")] = 0.15
    batch: Annotated[int, Field(ge=1, le=65_536, description="rows")] = 64
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    plateau_patience: Annotated[int, Field(ge=0, description="epochs before a smaller step")] = 3
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    gradient_norm: Annotated[float, Field(gt=0, description="longer gradients are cut")] = 1.0
    precision: Literal["f32", "bf16"] = "f32"


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


class Part(Protocol):
    """Rows to train on or to be judged by, drawn unit by unit."""

    @property
    def rows(self) -> int:
        """How many rows."""
        ...

    @property
    def units(self) -> int:
        """How many units: windows, or stretches of candles."""
        ...

    @property
    def unit_rows(self) -> int:
        """Rows of one unit, at most."""
        ...

    def loss(
        self, network: Any, chosen: Rows, chance: np.random.Generator | None = None
    ) -> torch.Tensor:
        """Weighted cross-entropy of each row of the chosen units."""
        ...


class Form(Protocol):
    """A kind of network: how one is drawn, and how rows are laid out for it."""

    def network(self, columns: int, shares: Floats) -> NetworkParts:
        """Draw a network from torch's generator; `shares` of each class, none of them 0."""
        ...

    def part(self, samples: Samples, scaled: Singles) -> Part:
        """Lay out samples over the scaled table, shape (rows of the table, columns)."""
        ...


def train(samples: Samples, form: Form, training: Training, rng: np.random.Generator) -> Trained:
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
    parts = form.part(older, scaled), form.part(newer, scaled)
    chance = np.random.default_rng(int(rng.integers(2**63 - 1)))
    with alone(int(chance.integers(2**63 - 1))):
        network = form.network(scaled.shape[1], _shares(older))
        log = _train(network, parts, training, chance)
        return Trained(network.weights(), scaler, log)


def _shares(samples: Samples) -> Floats:
    """Class shares with one row added to each class, so that none is 0."""
    counts = np.bincount(samples.label, minlength=len(samples.classes)) + 1.0
    return np.asarray(counts / counts.sum())


def _train(
    network: NetworkParts,
    parts: tuple[Part, Part],
    training: Training,
    chance: np.random.Generator,
) -> TrainingLog:
    import torch

    older, newer = parts
    optimiser = torch.optim.Adam(network.parts.parameters(), lr=training.learning_rate, fused=True)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=training.plateau_factor, patience=training.plateau_patience
    )
    log = TrainingLog(older.rows, newer.rows)
    best = network.weights()
    while log.epochs < training.max_epochs and log.epochs - log.best_epoch < training.patience:
        trained = _epoch(network, optimiser, older, training, chance)
        losses = trained, _evaluate(network, newer)
        plateau.step(losses[1])
        log = log.after_epoch(*losses)
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
    network: NetworkParts,
    optimiser: torch.optim.Optimizer,
    part: Part,
    training: Training,
    chance: np.random.Generator,
) -> float:
    """One pass in an order drawn anew; the mean loss on the way."""
    import torch

    network.parts.train()
    total = 0.0
    for chosen in _batches(chance.permutation(part.units), part, training.batch):
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=training.precision == "bf16"):
            loss = part.loss(network, chosen, chance)
        loss.mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parts.parameters(), training.gradient_norm)
        optimiser.step()
        total += float(loss.detach().sum())
    return total / part.rows


def _evaluate(network: NetworkParts, part: Part) -> float:
    import torch

    network.parts.eval()
    batches = _batches(np.arange(part.units), part, EVALUATED)
    with torch.no_grad():
        losses = [float(part.loss(network, chosen).sum()) for chosen in batches]
    return sum(losses) / part.rows


def _batches(units: Rows, part: Part, rows: int) -> Iterator[Rows]:
    """Cut units into batches of about so many rows."""
    count = max(1, rows // part.unit_rows)
    for start in range(0, len(units), count):
        yield units[start : start + count]
