"""From a champion's verified bytes and the newest candles to what its heads say.

Features come from the same code as in training, computed over the same memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pipeline.errors import ConfigError, DataError
from pipeline.frames import key_by_market
from pipeline.live.answers import NO_TRADE, Answer, HeadAnswer, Moment
from pipeline.live.loading import LoadedBundle, LoadedHead, unpack
from pipeline.live.signals import CLASSES, Signal, read_probabilities
from pipeline.market.candles import duration
from pipeline.models.base import FeatureTable
from pipeline.models.probabilities import check_probabilities
from registry.manifest import VerifiedBundle
from registry.slots import Slot


@dataclass(frozen=True, slots=True)
class Serving:
    """How a version is served: mode, probability from which it acts, its own as_of.

    `thresholds` are the profile's, by head, for heads that enter or leave on one class.
    """

    mode: str
    action_threshold: float
    trained_until: str
    thresholds: Mapping[str, float] = field(default_factory=dict)
    stands_in_for: str = ""


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
        """Candles that an answer of every head needs."""
        return max(head.memory + head.lookback for head in self.bundle.heads.values())

    def predict(self, candles: pd.DataFrame) -> Signal:
        """Signal at the last of the given final candles; parameters as of `answer`.

        Raises
        ------
        ConfigError
            When no head says sell, hold or buy.
        """
        signal = self.answer(candles).signal
        if signal is None:
            raise ConfigError(
                "no head of this version says sell, hold or buy",
                where=str(self.slot),
                found=", ".join(self.bundle.heads),
                fix="a signal needs a head with a label of these classes; ask for the answer of "
                "every head instead",
            )
        return signal

    def answer(self, candles: pd.DataFrame, market: str = "") -> Answer:
        """What every head says at the last of the given final candles.

        Parameters
        ----------
        candles
            One market's candle frame, at least `memory` long where the venue has that many.
        market
            Whose candles they are: a member, where the slot is that of a pool; else the slot's.

        Raises
        ------
        DataError
            When there are too few candles, or a feature is not finite.
        """
        heads = {name: self._heard(name, candles) for name in self.bundle.heads}
        opened = candles.index[-1]
        known_at = opened + duration(self.bundle.timeframe)
        at = Moment(
            slot=str(self.slot),
            market=market or self.slot.market,
            candle=opened.isoformat(),
            known_at=known_at.isoformat(),
            version=self.version,
            trained_until=self.serving.trained_until,
            mode=self.serving.mode,
            in_sample=known_at < pd.Timestamp(self.serving.trained_until),
            stands_in_for=self.serving.stands_in_for,
        )
        return Answer(at, heads, self._signal(at, heads))

    def _heard(self, name: str, candles: pd.DataFrame) -> HeadAnswer:
        head = self.bundle.heads[name]
        needed = head.feature_set.warm_up + head.lookback
        if len(candles) < needed:
            raise DataError(
                "too few candles to predict from",
                where=f"{self.slot}, head {name}",
                found=str(len(candles)),
                expected=f"at least {needed}",
                fix="vintage data sync, or wait",
            )
        threshold = self.serving.thresholds.get(name)
        if head.feature_set.of_trades:
            return HeadAnswer({}, threshold, NO_TRADE)
        return HeadAnswer(self._probability(head, candles), threshold)

    def _probability(self, head: LoadedHead, candles: pd.DataFrame) -> dict[str, float]:
        frame = head.feature_set.newest(candles, head.lookback)
        table = FeatureTable.from_frame(key_by_market(frame, self.slot.market))
        probability = head.predict_proba(table, np.array([len(table.values) - 1]))
        check_probabilities(probability)
        return dict(zip(head.classes, map(float, probability[0]), strict=True))

    def _signal(self, at: Moment, heads: Mapping[str, HeadAnswer]) -> Signal | None:
        for name, head in heads.items():
            if self.bundle.heads[name].classes == CLASSES and head.probability:
                return Signal(
                    slot=at.slot,
                    market=at.market,
                    candle=at.candle,
                    known_at=at.known_at,
                    **read_probabilities(head.probability, self.serving.action_threshold),
                    version=at.version,
                    action_threshold=self.serving.action_threshold,
                    trained_until=at.trained_until,
                    mode=at.mode,
                    stands_in_for=at.stands_in_for,
                )
        return None
