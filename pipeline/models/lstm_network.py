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

    def embed(self, batch: torch.Tensor) -> torch.Tensor:
        """Embedding of the last step, shape (batch, embedding).

        Parameters
        ----------
        batch
            Scaled windows, shape (batch, lookback, columns).
        """
        import torch

        steps, _ = self.parts["lstm"](batch)
        wide = torch.relu(self.parts["wide"](steps[:, -1]))
        embedding: torch.Tensor = self.parts["narrow"](self.parts["dropout"](wide))
        return embedding

    def logits(self, batch: torch.Tensor) -> torch.Tensor:
        """Unnormalised log probabilities, shape (batch, classes)."""
        found: torch.Tensor = self.parts["head"](self.embed(batch))
        return found

    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Copies of all weights, named as torch names them."""
        return {name: part.numpy().copy() for name, part in self.parts.state_dict().items()}

    def restore(self, weights: Weights) -> None:
        """Take back what `weights` gave."""
        import torch

        self.parts.load_state_dict({name: torch.tensor(part) for name, part in weights.items()})


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

    between = shape.dropout if shape.layers > 1 else 0.0
    parts = nn.ModuleDict(
        {
            "lstm": nn.LSTM(columns, shape.hidden, shape.layers, batch_first=True, dropout=between),
            "wide": nn.Linear(shape.hidden, shape.dense),
            "dropout": nn.Dropout(shape.dropout),
            "narrow": nn.Linear(shape.dense, shape.embedding),
            "head": nn.Linear(shape.embedding, len(shares)),
        }
    )
    with torch.no_grad():
        parts["head"].bias.copy_(torch.tensor(np.log(shares), dtype=torch.float32))
    return Network(parts)
