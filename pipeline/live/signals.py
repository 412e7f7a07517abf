"""What a model says at one candle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

BUY, HOLD, SELL = "BUY", "HOLD", "SELL"
CLASSES = ("sell", "hold", "buy")


@dataclass(frozen=True, slots=True)
class Signal:
    """Probabilities at one candle and what follows from them.

    ``confidence`` is the top minus the second probability; ``strength`` is the larger of buy
    and sell; ``emergency_score`` is sell times confidence; ``trained_until`` is the version's
    as_of; ``stands_in_for`` names the champion that cannot answer itself, else it is empty.
    """

    slot: str
    market: str
    candle: str
    known_at: str
    buy_probability: float
    hold_probability: float
    sell_probability: float
    confidence: float
    strength: float
    emergency_score: float
    action: str
    action_threshold: float
    version: str
    trained_until: str
    mode: str
    stands_in_for: str = ""

    @property
    def is_in_sample(self) -> bool:
        """Whether the version may have been trained on what followed this candle."""
        return pd.Timestamp(self.known_at) < pd.Timestamp(self.trained_until)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "in_sample": self.is_in_sample}


def read_probabilities(probability: Mapping[str, float], threshold: float) -> dict[str, Any]:
    """Confidence, strength, emergency score and action of three class probabilities.

    Parameters
    ----------
    probability
        By class: sell, hold, buy; they sum to 1.
    threshold
        The action is BUY or SELL when that side is the larger one and above it, else HOLD.

    Examples
    --------
    >>> told = read_probabilities({"sell": 0.1, "hold": 0.2, "buy": 0.7}, threshold=0.55)
    >>> told["action"], round(told["confidence"], 6), told["strength"]
    ('BUY', 0.5, 0.7)
    """
    buy, sell = probability["buy"], probability["sell"]
    confidence = top_minus_second(probability[name] for name in CLASSES)
    return {
        "buy_probability": buy,
        "hold_probability": probability["hold"],
        "sell_probability": sell,
        "confidence": confidence,
        "strength": max(buy, sell),
        "emergency_score": sell * confidence,
        "action": _action(buy, sell, threshold),
    }


def top_minus_second(probability: Iterable[float]) -> float:
    """How far the most probable class leads.

    Examples
    --------
    >>> top_minus_second([0.25, 0.75])
    0.5
    """
    second, first = np.sort(list(probability))[-2:]
    return float(first - second)


def _action(buy: float, sell: float, threshold: float) -> str:
    if max(buy, sell) <= threshold or buy == sell:
        return HOLD
    return BUY if buy > sell else SELL
