"""An answer, who gave it, and what another version said of the same candle."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from pipeline.live.answers import Answer
from pipeline.live.log import Logged, Role

SHADOW: Role = "shadow"
BITS = 64


@dataclass(frozen=True, slots=True)
class Said:
    """The answer to whoever asked, and the one beside it that is only logged.

    `role` says as what the answering version answered; `share` is that of candles which the
    challenger answers; `beside` is the champion's answer where the challenger gave it, else the
    challenger's, and None where there is no challenger or it said nothing, and `why_not` why.
    """

    answer: Answer
    role: Role
    share: float = 0.0
    beside: Answer | None = None
    why_not: str = ""

    def lines(self, at: str) -> list[Logged]:
        """What is logged, at a moment with its zone."""
        both = [(self.answer, self.role), *([(self.beside, SHADOW)] if self.beside else [])]
        return [Logged.of(answer, role, self.share, at) for answer, role in both]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the answer, as what it was given, and the one beside it if there is any."""
        beside = {"shadow": self.beside.to_dict()} if self.beside else {}
        silent = {"challenger_silent": self.why_not} if self.why_not else {}
        role = {"role": self.role, "challenger_share": self.share}
        return self.answer.to_dict() | role | beside | silent


def is_challengers(market: str, candle: str, share: float) -> bool:
    """Whether a candle is among the share that the challenger answers.

    The first 8 bytes of the sha256 of market and open time, as a number of [0, 1), lie below
    `share`: the same wherever and however often it is asked, and a greater share keeps all of a
    smaller one.

    Parameters
    ----------
    candle
        Open time in UTC, as ISO 8601.

    Examples
    --------
    >>> hours = [f"2025-12-01T{hour:02d}:00:00+00:00" for hour in range(24)]
    >>> [sum(is_challengers("KRW-SOL", each, share) for each in hours) for share in (0.0, 1.0)]
    [0, 24]
    """
    digest = hashlib.sha256(f"{market} {candle}".encode()).digest()
    return int.from_bytes(digest[: BITS // 8]) < share * 2.0**BITS
