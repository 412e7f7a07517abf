"""From a champion's verified bytes and the newest candles to a signal.

Features come from the same code as in training, computed over the same memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.errors import ConfigError, DataError
from pipeline.frames import key_by_market
from pipeline.live.loading import LoadedBundle, LoadedHead, unpack
from pipeline.live.signals import CLASSES, Signal, read_probabilities
from pipeline.market.candles import duration
from pipeline.models.base import FeatureTable
from pipeline.models.probabilities import check_probabilities
from registry.manifest import VerifiedBundle
from registry.slots import Slot


@dataclass(frozen=True, slots=True)
class Serving:
    """How a version is served: mode, probability from which it acts, its own as_of."""

    mode: str
    action_threshold: float
    trained_until: str


@dataclass(frozen=True, slots=True)
class Predictor:
    """One version of one slot, loaded once, ready for any candle."""

    slot: Slot
    version: str
    serving: Serving
    bundle: LoadedBundle

    @classmethod
    def load(
        cls, slot: Slot, verified: VerifiedBundle, serving: Serving, plugins: Sequence[str]
    ) -> Predictor:
        """Read a verified bundle; no byte is parsed that was not hashed before."""
        files = {name: verified.read(name) for name in verified.names}
        return cls(
            slot=slot,
            version=verified.version,
            serving=serving,
            bundle=unpack(files, plugins),
        )

    @property
    def memory(self) -> int:
        """Candles that a prediction needs."""
        _, head = self._trading_head()
        return head.memory + head.lookback

    def predict(self, candles: pd.DataFrame) -> Signal:
        """Signal at the last of the given final candles.

        Parameters
        ----------
        candles
            One market's candle frame, at least `memory` long where the venue has that many.

        Raises
        ------
        DataError
            When there are too few candles, or a feature is not finite.
        """
        name, head = self._trading_head()
        needed = head.feature_set.warm_up + head.lookback
        if len(candles) < needed:
            raise DataError(
                "too few candles to predict from",
                where=f"{self.slot}, head {name}",
                found=str(len(candles)),
                expected=f"at least {needed}",
                fix="vintage data sync, or wait",
            )
        frame = head.feature_set.newest(candles, head.lookback)
        table = FeatureTable.from_frame(key_by_market(frame, self.slot.market))
        probability = head.predict_proba(table, np.array([len(table.values) - 1]))
        check_probabilities(probability)
        by_class = dict(zip(head.classes, map(float, probability[0]), strict=True))
        opened = candles.index[-1]
        return Signal(
            slot=str(self.slot),
            market=self.slot.market,
            candle=opened.isoformat(),
            known_at=(opened + duration(self.bundle.timeframe)).isoformat(),
            **read_probabilities(by_class, self.serving.action_threshold),
            version=self.version,
            action_threshold=self.serving.action_threshold,
            trained_until=self.serving.trained_until,
            mode=self.serving.mode,
        )

    def _trading_head(self) -> tuple[str, LoadedHead]:
        for name, head in self.bundle.heads.items():
            if head.classes == CLASSES:
                return name, head
        raise ConfigError(
            "no head of this version says sell, hold or buy",
            where=str(self.slot),
            found=", ".join(self.bundle.heads),
            fix="its scores stand in its card; a signal needs a head with a label of these classes",
        )
