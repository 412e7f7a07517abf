"""What goes wrong between us and a venue, and which of it may pass by itself."""

from __future__ import annotations

import re
from typing import Any, Self

import numpy as np
import pandas as pd

EPOCH = 1e12  # milliseconds; a greater number is a moment, not a length
ATTEMPTS = 8
SHOWN = 120  # characters of a body that are told
SHORTEST_BLOCK, LONGEST_BLOCK = 1.0, 3 * 24 * 3600.0  # seconds; bans of Binance reach three days
UNTIL = re.compile(r"(?:unblocked after|banned until) (\d+)")
STATED = re.compile(
    r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|sec|seconds?|초|m|min|minutes?|분|h|hours?|시간)(?![a-z])",
    re.IGNORECASE,
)
SECONDS = {"m": 60.0, "분": 60.0, "h": 3600.0, "시": 3600.0}


class Fault(Exception):
    """Something that may pass: it is asked again, and told as RetryLater at last.

    Parameters
    ----------
    what
        What is wrong, as a clause.
    found
        What came instead.
    block
        Seconds that the venue is not to be asked by any process, for faults of the rate limit.
    until
        When such a block ends.
    fix
        What to do next, where it is more than to repeat later.
    """

    def __init__(
        self,
        what: str,
        *,
        found: str = "",
        block: float | None = None,
        until: pd.Timestamp | None = None,
        fix: str = "",
    ) -> None:
        super().__init__(what)
        self.what, self.found, self.block = what, found, block
        self.until, self.fix = until, fix
        self.attempts = ATTEMPTS

    def at_most(self, attempts: int) -> Self:
        """The same, not worth more attempts than these, the one that met it among them."""
        self.attempts = attempts
        return self

    @property
    def final(self) -> bool:
        """Whether a block that another request met outlasts the deadline: no use in asking."""
        return self.until is not None and self.block is None


class UnknownMarketError(Exception):
    """The venue says that it has no such market."""


def beginning_withheld(first: pd.Timestamp) -> Fault:
    """Tell that a venue has candles before the first that it gives."""
    return Fault(
        "the venue does not give the beginning that it has",
        found=f"first candle {first.isoformat()}",
        fix="ask for a later start: it may serve its newest candles only",
    )


def garbage(what: str, body: Any) -> Fault:
    """Tell an answer that is no answer, with its beginning."""
    plain = body.item() if isinstance(body, np.generic) else body
    told = " ".join((plain if isinstance(plain, str) else repr(plain)).split())
    return Fault(what, found=f"{told[:SHOWN]} …" if len(told) > SHOWN else told or "nothing")


def stated_block(text: str, now: pd.Timestamp) -> float | None:
    """Seconds of a block that a message states, or None.

    ``unblocked after N`` (BingX) and ``banned until N`` (Binance) name a moment in milliseconds
    since 1970, or that many milliseconds. Otherwise the first length of time that is named.

    Examples
    --------
    >>> now = pd.Timestamp("2025-12-20T00:00:00Z")
    >>> stated_block("will be unblocked after 1766188830000", now)
    30.0
    >>> stated_block("blocked for 2 minutes", now), stated_block("too many requests", now)
    (120.0, None)
    """
    if found := UNTIL.search(text):
        number = float(found.group(1))
        seconds = number / 1000 - (now.timestamp() if number > EPOCH else 0.0)
    elif found := STATED.search(text):
        unit = found.group(2).lower()
        scale = 1e-3 if unit.startswith(("ms", "mil")) else SECONDS.get(unit[0], 1.0)
        seconds = float(found.group(1)) * scale
    else:
        return None
    return min(max(seconds, SHORTEST_BLOCK), LONGEST_BLOCK)
