"""The convolutional network in torch: needed to train, never to predict.

Each block sees a candle and one further back (Bai, Kolter & Koltun, "An empirical evaluation of
generic convolutional and recurrent networks", 2018); the distances double from block to block, so
that the last block has seen every one of `lookback` candles and none beyond. What a block adds lies
between -1 and 1, so that no candle, however strange, outweighs all others.
"""

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


class TcnShape(Record):
    """Size of the network; its depth follows from the lookback."""

    channels: Annotated[int, Field(ge=1, le=2048, description="units of each block")] = 32
    dropout: Annotated[float, Field(ge=0, lt=1, description="share, in training only")] = 0.3


@dataclass(frozen=True, slots=True)
class TcnNetwork(NetworkParts):
    """How stretches of candles run through the parts."""

    distances: tuple[int, ...]

    def logits(
        self, batch: torch.Tensor, chance: np.random.Generator | None = None
    ) -> torch.Tensor:
        """Unnormalised log probabilities of every candle that has its lookback in the stretch.

        Parameters
        ----------
        batch
            Scaled candles, shape (stretches, candles, columns).
        chance
            Draws what is dropped behind each block; nothing is dropped where not given.

        Returns
        -------
        Tensor
            Shape (stretches, candles - lookback + 1, classes).
        """
        import torch

        steps = batch
        for block, distance in enumerate(self.distances):
            now = steps[:, distance:]
            both = torch.cat([now, steps[:, :-distance]], dim=2)
            bent = self._thinned(torch.tanh(self.parts[f"mix{block}"](both)), chance)
            steps = now + bent if block else bent
        found: torch.Tensor = self.parts["head"](steps)
        return found


def distances_of(lookback: int) -> tuple[int, ...]:
    """How far back each block looks; they sum to ``lookback - 1``.

    Examples
    --------
    >>> distances_of(24)
    (1, 2, 4, 8, 8)
    """
    left, found = lookback - 1, list[int]()
    while left:
        found.append(min(2 ** len(found), left))
        left -= found[-1]
    return tuple(found)


def new_tcn(
    shape: TcnShape, lookback: int, columns: int, shares: npt.NDArray[np.float64]
) -> TcnNetwork:
    """Draw a network from torch's generator; training begins at the class shares.

    Parameters
    ----------
    shares
        Share of each class among the training rows, shape (classes,), none of them 0.
    """
    import torch
    from torch import nn

    distances = distances_of(lookback)
    inputs = [columns, *[shape.channels] * (len(distances) - 1)]
    blocks = {f"mix{k}": nn.Linear(2 * width, shape.channels) for k, width in enumerate(inputs)}
    parts = nn.ModuleDict({**blocks, "head": nn.Linear(shape.channels, len(shares))})
    with torch.no_grad():
        parts["head"].weight.zero_()
        parts["head"].bias.copy_(torch.tensor(np.log(shares), dtype=torch.float32))
    return TcnNetwork(parts, shape.dropout, distances)
