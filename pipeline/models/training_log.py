"""What happened while a network was trained."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

FILE = "training.json"
OLDER_NAMES = {"lstm_rows": "rows", "lightgbm_rows": "trees_rows"}  # in versions of long ago


@dataclass(frozen=True, slots=True)
class TrainingLog:
    """Facts of one training; epochs count from 1, losses are weighted cross-entropies in nats."""

    rows: int
    validation_rows: int
    trees_rows: int = 0
    epochs: int = 0
    best_epoch: int = 0
    best_validation_loss: float = math.inf
    training_losses: tuple[float, ...] = ()
    validation_losses: tuple[float, ...] = ()

    @classmethod
    def read(cls, content: bytes) -> TrainingLog:
        """Rebuild what `save` wrote."""
        told: dict[str, Any] = json.loads(content)
        told = {OLDER_NAMES.get(key, key): value for key, value in told.items()}
        told |= {key: tuple(told[key]) for key in ("training_losses", "validation_losses")}
        return cls(**told)

    def save(self) -> bytes:
        """JSON; no duration and no moment, so equal trainings give equal bytes."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    def after_epoch(self, trained: float, validated: float) -> TrainingLog:
        """With the losses of one more epoch."""
        better = validated < self.best_validation_loss
        return replace(
            self,
            epochs=self.epochs + 1,
            best_epoch=self.epochs + 1 if better else self.best_epoch,
            best_validation_loss=validated if better else self.best_validation_loss,
            training_losses=(*self.training_losses, trained),
            validation_losses=(*self.validation_losses, validated),
        )

    def report(self) -> dict[str, Any]:
        """As `Fitted.report` tells a network; a loss that is no number is None."""
        return {
            "rows": self.rows,
            "validation_rows": self.validation_rows,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "best_validation_loss": self.best_validation_loss,
            "training_losses": [_known(loss) for loss in self.training_losses],
            "validation_losses": [_known(loss) for loss in self.validation_losses],
        }


def _known(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None
