"""What a position source answers, and how long its answer is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import pandas as pd
from pydantic import Field

from pipeline.config import Record

Span = Annotated[str, Field(pattern=r"^[0-9]{1,5}[smhd]$", description="30s, 15m, 4h, 7d")]
_UNITS: dict[str, Literal["seconds", "minutes", "hours", "days"]] = {
    "s": "seconds",
    "m": "minutes",
    "h": "hours",
    "d": "days",
}


def length(span: Span) -> pd.Timedelta:
    """Length of a span of time.

    Examples
    --------
    >>> length("4h"), length("90s")
    (Timedelta('0 days 04:00:00'), Timedelta('0 days 00:01:30'))
    """
    return pd.Timedelta(int(span[:-1]), unit=_UNITS[span[-1]])


class Patience(Record):
    """How long a flat market is waited for, and for how long a candidate may stay pending."""

    wait: Span = "4h"
    poll_seconds: Annotated[float, Field(ge=1, le=86_400, description="seconds")] = 60.0
    fresh_for: Span = "24h"


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether markets are flat, and what says so, as a clause without a full stop."""

    flat: bool
    why: str


class Positions(Protocol):
    """Knows whether a position is open; what it cannot read is not flat."""

    @property
    def patience(self) -> Patience:
        """How long it is waited for."""
        ...

    def standing(self, markets: Sequence[str], now: pd.Timestamp, /) -> Standing:
        """Say whether all of these markets are flat at a moment.

        Raises
        ------
        ConfigError
            When it is not told where to look; whatever it finds there is an answer.
        """
        ...
