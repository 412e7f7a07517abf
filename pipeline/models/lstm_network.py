"""The recurrent network in torch: needed to train, never to predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline.config import Record

if TYPE_CHECKING:
    import torch

Weights = Mapping[str, npt.NDArray[np.float32]]


class Shape(Record):
    """Sizes of the network: LSTM layers, two dense layers, and a head for training."""

    hidden: Annotated[int, Field(ge=1, le=2048, description="units of each LSTM layer")] = 128
    layers: Annotated[int, Field(ge=1, le=4)] = 2
    dense: Annotated[int, Field(ge=1, le=2048, description="units between LSTM and embedding")] = 64
    embedding: Annotated[int, Field(ge=1, le=512)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1, description="share, in training only")] = 0.3


@dataclass(frozen=True, slots=True)
class Network:
    """Named parts of one network, and how a batch runs through them."""

    parts: torch.nn.ModuleDict
    dropout: float

    def embed(self, batch: torch.Tensor, chance: np.random.Generator | None = None) -> torch.Tensor:
        """Embedding of the last step, shape (batch, embedding).

        Parameters
        ----------
        batch
            Scaled windows, shape (batch, lookback, columns).
        chance
            Draws what is dropped between the layers; nothing is dropped where not given.
        """
        import torch

        steps = batch.transpose(0, 1)
        for layer in range(sum(name.startswith("lstm") for name in self.parts)):
            steps = self._thinned(steps, chance) if layer else steps
            steps, _ = self.parts[f"lstm{layer}"](steps)
        wide = torch.relu(self.parts["wide"](steps[-1]))
        embedding: torch.Tensor = self.parts["narrow"](self._thinned(wide, chance))
        return embedding

    def logits(
        self, batch: torch.Tensor, chance: np.random.Generator | None = None
    ) -> torch.Tensor:
        """Unnormalised log probabilities, shape (batch, classes)."""
        found: torch.Tensor = self.parts["head"](self.embed(batch, chance))
        return found

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Copies of all weights, named as torch names them."""
        return {name: part.numpy().copy() for name, part in self.parts.state_dict().items()}

    def restore(self, weights: Weights) -> None:
        """Take back what `weights` gave."""
        import torch

        self.parts.load_state_dict({name: torch.tensor(part) for name, part in weights.items()})

    def _thinned(self, units: torch.Tensor, chance: np.random.Generator | None) -> torch.Tensor:
        """Dropout; sixteen random bits a unit cost an eighth of what torch's own dropout does."""
        import torch

        if chance is None or not self.dropout:
            return units
        drawn = chance.integers(2**64, size=-(-units.numel() // 4), dtype="uint64").view("uint16")
        dropped = min(round(self.dropout * 2**16), 2**16 - 1)
        factors = (drawn >= dropped) * np.float32(1 / (1 - dropped / 2**16))
        kept = torch.from_numpy(factors[: units.numel()]).view(units.shape)
        return units * kept.to(units.dtype)


def new_network(shape: Shape, columns: int, shares: npt.NDArray[np.float64]) -> Network:
    """Draw a network from torch's generator.

    The head's bias starts at the logarithm of the class shares, so that training begins at
    the majority baseline and a class that never happened starts improbable.

    Parameters
    ----------
    shares
        Share of each class among the training rows, shape (classes,), none of them 0.
    """
    import torch
    from torch import nn

    inputs = [columns, *[shape.hidden] * (shape.layers - 1)]
    layers = {f"lstm{k}": nn.LSTM(width, shape.hidden) for k, width in enumerate(inputs)}
    parts = nn.ModuleDict(
        {
            **layers,
            "wide": nn.Linear(shape.hidden, shape.dense),
            "narrow": nn.Linear(shape.dense, shape.embedding),
            "head": nn.Linear(shape.embedding, len(shares)),
        }
    )
    with torch.no_grad():
        parts["head"].bias.copy_(torch.tensor(np.log(shares), dtype=torch.float32))
    return Network(parts, shape.dropout)
