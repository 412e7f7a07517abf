"""When a simulation retrains, and which candles each model answers for."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from pipeline.errors import ConfigError
from pipeline.evaluation.backtest.profile import minutes_of
from pipeline.market.candles import duration

EVERY = re.compile(r"[1-9][0-9]{0,3}[mhd]")
MOST_TURNS = 5000


@dataclass(frozen=True, slots=True)
class Turn:
    """One scheduled moment: a retrain at `as_of`, then the candles that open before `until`."""

    number: int
    as_of: pd.Timestamp
    until: pd.Timestamp

    @property
    def version(self) -> str:
        """What its candidate is called.

        Examples
        --------
        >>> Turn(0, pd.Timestamp("2025-01-01T00:00Z"), pd.Timestamp("2025-01-08T00:00Z")).version
        'v0001'
        """
        return f"v{self.number + 1:04d}"


def interval_of(every: str, timeframe: str) -> pd.Timedelta:
    """Length of a turn, a whole number of candles.

    Raises
    ------
    ConfigError
        When the text is no such length.

    Examples
    --------
    >>> interval_of("7d", "1h")
    Timedelta('7 days 00:00:00')
    """
    expected = f"a whole number of candles of {timeframe}, such as 7d"
    if not EVERY.fullmatch(every):
        raise ConfigError("'every' is no interval", found=every, expected=expected)
    length = pd.Timedelta(minutes=minutes_of(every))
    if length % duration(timeframe):
        raise ConfigError("'every' is no whole number of candles", found=every, expected=expected)
    return length


def turns(first: pd.Timestamp, last: pd.Timestamp, every: str, timeframe: str) -> list[Turn]:
    """Cut a span into turns, the oldest first; the last one may be short.

    A later `last` adds turns and, at most, makes the last one longer.

    Raises
    ------
    ConfigError
        When the span holds no candle, or more turns than any use.

    Examples
    --------
    >>> span = pd.Timestamp("2025-01-01T00:00Z"), pd.Timestamp("2025-01-10T00:00Z")
    >>> [(turn.version, turn.until.day) for turn in turns(*span, "7d", "1h")]
    [('v0001', 8), ('v0002', 10)]
    """
    step, length = duration(timeframe), interval_of(every, timeframe)
    first, last = first.floor(step), last.floor(step)
    if last <= first:
        raise ConfigError(
            "the span of the simulation holds no candle",
            found=f"from {first.isoformat()} to {last.isoformat()}",
            expected="'from' before 'to'",
        )
    count = -(-(last - first) // length)
    if count > MOST_TURNS:
        raise ConfigError(
            "too many turns",
            found=str(count),
            expected=f"at most {MOST_TURNS}",
            fix="choose a longer 'every' or a shorter span",
        )
    return [
        Turn(number, first + number * length, min(first + (number + 1) * length, last))
        for number in range(count)
    ]
