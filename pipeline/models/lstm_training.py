"""Train the recurrent network: windows over one table, gathered batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.models.base import Floats, Rows, Samples
from pipeline.models.lstm_network import Network, Shape, new_network
from pipeline.models.network_training import Singles, Trained, Training, train
from pipeline.models.windows import gather

if TYPE_CHECKING:
    import torch


def train_network(
    samples: Samples, lookback: int, shape: Shape, training: Training, rng: np.random.Generator
) -> Trained:
    """Train on windows of `lookback` candles; see `pipeline.models.network_training.train`."""
    return train(samples, _Windowed(lookback, shape), training, rng)


@dataclass(frozen=True, slots=True)
class _Windowed:
    lookback: int
    shape: Shape

    def network(self, columns: int, shares: Floats) -> Network:
        return new_network(self.shape, columns, shares)

    def part(self, samples: Samples, scaled: Singles) -> _Windows:
        weight = (samples.weight / samples.weight.mean()).astype("float32")
        label = samples.label.astype("int64")
        return _Windows(scaled, samples.rows, label, weight, self.lookback)


@dataclass(frozen=True, slots=True)
class _Windows:
    scaled: Singles
    ends: Rows
    label: npt.NDArray[np.int64]
    weight: Singles
    lookback: int

    @property
    def rows(self) -> int:
        return len(self.ends)

    @property
    def units(self) -> int:
        return len(self.ends)

    @property
    def unit_rows(self) -> int:
        return 1

    def loss(
        self, network: Network, chosen: Rows, chance: np.random.Generator | None = None
    ) -> torch.Tensor:
        import torch

        windows = torch.from_numpy(gather(self.scaled, self.ends[chosen], self.lookback))
        logits = network.logits(windows, chance).float()
        label = torch.from_numpy(self.label[chosen])
        loss = torch.nn.functional.cross_entropy(logits, label, reduction="none")
        return loss * torch.from_numpy(self.weight[chosen])
