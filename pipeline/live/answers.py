"""What every head of a version says at one candle, and whether a trade would be entered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.live.signals import BUY, CLASSES, HOLD, SELL, Signal, top_minus_second

ENTRIES = {"long_entry": BUY, "short_entry": SELL}
ENTER = "enter"
NO_TRADE = "exit heads speak of an open trade; none is given"
TWO = 2


@dataclass(frozen=True, slots=True)
class HeadAnswer:
    """What one head says at one candle.

    Parameters
    ----------
    probability
        By class, in the label's order; empty where the head says nothing, and `why_not` why.
    threshold
        Probability of the last class from which the profile acts; None where it has no say.
    """

    probability: Mapping[str, float]
    threshold: float | None = None
    why_not: str = ""

    @property
    def confidence(self) -> float | None:
        """Top minus second probability."""
        return top_minus_second(self.probability.values()) if self.probability else None

    @property
    def strength(self) -> float | None:
        """How much speaks for doing something.

        Of sell, hold and buy the larger of buy and sell; of two classes the probability of the
        second, which is the one to act on: enter, exit, high. None of other classes.

        Examples
        --------
        >>> HeadAnswer({"no": 0.75, "enter": 0.25}).strength
        0.25
        >>> HeadAnswer({"sell": 0.5, "hold": 0.25, "buy": 0.25}).strength
        0.5
        """
        if tuple(self.probability) == CLASSES:
            return max(self.probability["buy"], self.probability["sell"])
        if len(self.probability) == TWO:
            return list(self.probability.values())[-1]
        return None

    @property
    def above(self) -> float | None:
        """How far the strength lies above the threshold; None where there is none."""
        if self.threshold is None or self.strength is None:
            return None
        return self.strength - self.threshold

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        told = {
            "probability": dict(self.probability) or None,
            "confidence": self.confidence,
            "strength": self.strength,
            "threshold": self.threshold,
            "reached": None if self.above is None else self.above >= 0,
        }
        return told | ({"why_not": self.why_not} if self.why_not else {})


@dataclass(frozen=True, slots=True)
class Moment:
    """Whose answer it is, at which candle; all text.

    `stands_in_for` names the champion that cannot answer itself, else it is empty.
    """

    slot: str
    market: str
    candle: str
    known_at: str
    version: str
    trained_until: str
    mode: str
    in_sample: bool
    stands_in_for: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Every head of a version at one candle.

    `signal` is that of the first head of sell, hold and buy; None where there is no such head.
    """

    at: Moment
    heads: Mapping[str, HeadAnswer]
    signal: Signal | None = None

    @property
    def action(self) -> str | None:
        """BUY, SELL or HOLD; None where no head speaks of entering."""
        return self.signal.action if self.signal else entered(self.heads)

    @property
    def strength(self) -> float | None:
        """Of the signal, else the larger of both entries; None where there is neither."""
        if self.signal:
            return self.signal.strength
        found = [head.strength for head in entries(self.heads).values()]
        return max((each for each in found if each is not None), default=None)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the signal alone where its head is the only one, else every head as well."""
        heads = {name: head.to_dict() for name, head in self.heads.items()}
        if self.signal:
            return self.signal.to_dict() | ({"heads": heads} if len(heads) > 1 else {})
        return {**asdict(self.at), "action": self.action, "strength": self.strength, "heads": heads}


def entries(heads: Mapping[str, HeadAnswer]) -> dict[str, HeadAnswer]:
    """The heads that speak of entering: named long_entry or short_entry, with a class enter."""
    return {name: heads[name] for name in ENTRIES if ENTER in _classes(heads, name)}


def entered(heads: Mapping[str, HeadAnswer]) -> str | None:
    """What the entry heads come to, as a backtest would read them.

    The side whose probability lies further above its threshold, long when they tie; HOLD where
    neither reaches it; None where no entry head has a threshold.

    Examples
    --------
    >>> long, short = (HeadAnswer({"no": 1 - p, "enter": p}, 0.7) for p in (0.75, 0.875))
    >>> entered({"long_entry": long, "short_entry": short})
    'SELL'
    """
    above = {name: head.above for name, head in entries(heads).items()}
    judged = {name: value for name, value in above.items() if value is not None}
    if not judged:
        return None
    first = max(judged, key=lambda name: judged[name])
    return ENTRIES[first] if judged[first] >= 0 else HOLD


def _classes(heads: Mapping[str, HeadAnswer], name: str) -> tuple[str, ...]:
    return tuple(heads[name].probability) if name in heads else ()
