"""What every network in torch has: named parts, their weights, and dropout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Weights = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class NetworkParts:
    """Named parts of one network; `dropout` is the share of units left out in training."""

    parts: torch.nn.ModuleDict
    dropout: float

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
