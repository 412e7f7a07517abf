"""Train the convolutional network on stretches of candles, so that windows share their overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.models.base import Floats, Rows, Samples
from pipeline.models.network_training import Singles
from pipeline.models.tcn_network import TcnNetwork, TcnShape, new_tcn

if TYPE_CHECKING:
    import torch

NOBODY = -1  # a row of the table that is no sample


@dataclass(frozen=True, slots=True)
class Stretched:
    """Stretches of `stretch` rows of the table, each with the candles that its first row needs.

    A stretch may reach over a hole or into another market: what is computed there is no sample's,
    because every sample's window is whole, and is never looked at.
    """

    lookback: int
    stretch: int
    shape: TcnShape

    def network(self, columns: int, shares: Floats) -> TcnNetwork:
        """Draw a network from torch's generator."""
        return new_tcn(self.shape, self.lookback, columns, shares)

    def part(self, samples: Samples, scaled: Singles) -> Stretches:
        """Lay samples out by the stretch of the table that they lie in."""
        held, unit = np.unique(samples.rows // self.stretch, return_inverse=True)
        places = np.full((len(held), self.stretch), NOBODY)
        places[unit, samples.rows % self.stretch] = np.arange(len(samples.rows))
        weight = (samples.weight / samples.weight.mean()).astype("float32")
        label = samples.label.astype("int64")
        first = held * self.stretch - (self.lookback - 1)
        return Stretches(scaled, first, places, label, weight)


@dataclass(frozen=True, slots=True)
class Stretches:
    """Rows to train on or to be judged by; ``places`` are those of the samples, stretch by stretch.

    Shapes: ``first`` (units,), the first candle of each; ``places`` (units, stretch).
    """

    scaled: Singles
    first: Rows
    places: npt.NDArray[np.intp]
    label: npt.NDArray[np.int64]
    weight: Singles

    @property
    def rows(self) -> int:
        """How many samples."""
        return len(self.label)

    @property
    def units(self) -> int:
        """How many stretches."""
        return len(self.first)

    @property
    def unit_rows(self) -> int:
        """Rows of one stretch."""
        return int(self.places.shape[1])

    def loss(
        self, network: TcnNetwork, chosen: Rows, chance: np.random.Generator | None = None
    ) -> torch.Tensor:
        """Weighted cross-entropy of each sample in the chosen stretches."""
        import torch

        length = self.unit_rows + sum(network.distances)
        candles = (self.first[chosen, None] + np.arange(length)).clip(0, len(self.scaled) - 1)
        logits = network.logits(torch.from_numpy(self.scaled[candles]), chance).float()
        places = self.places[chosen].ravel()
        known = np.flatnonzero(places != NOBODY)
        label = torch.from_numpy(self.label[places[known]])
        own = logits.flatten(0, 1)[torch.from_numpy(known)]
        loss = torch.nn.functional.cross_entropy(own, label, reduction="none")
        return loss * torch.from_numpy(self.weight[places[known]])
