"""The recurrent network in torch: needed to train, never to predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline.config import Record
from pipeline.models.network_parts import NetworkParts

if TYPE_CHECKING:
    import torch


class Shape(Record):
    """Sizes of the network: LSTM layers, two dense layers, and a head for training."""

    hidden: Annotated[int, Field(ge=1, le=2048, description="units of each LSTM layer")] = 128
    layers: Annotated[int, Field(ge=1, le=4)] = 2
    dense: Annotated[int, Field(ge=1, le=2048, description="units between LSTM and embedding")] = 64
    embedding: Annotated[int, Field(ge=1, le=512)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1, description="share, in training only")] = 0.3


@dataclass(frozen=True, slots=True)
class Network(NetworkParts):
    """How a batch of windows runs through the parts."""

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
