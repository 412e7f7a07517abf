"""What a candle frame is, and timeframes.

A candle frame is a pandas DataFrame indexed by ``time`` (the candle's *open*, UTC, unique,
increasing) with float64 columns open, high, low, close, volume and, where the venue has them,
value (turnover in the quote currency) and taker_volume (the part of volume, in the base
currency, that takers bought). Every candle in it is final.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

PRICES = ("open", "high", "low", "close")
REQUIRED = (*PRICES, "volume")
USUAL = (*REQUIRED, "value")
COLUMNS = (*USUAL, "taker_volume")
TIME = "time"
TIMEFRAMES = ("1m", "3m", "5m", "15m", "30m", "1h", "4h", "1d")
_UNITS: dict[str, Literal["minutes", "hours", "days"]] = {"m": "minutes", "h": "hours", "d": "days"}


def duration(timeframe: str) -> pd.Timedelta:
    """Length of one candle.

    Raises
    ------
    ConfigError
        When the timeframe is not one of `TIMEFRAMES`.

    Examples
    --------
    >>> duration("4h")
    Timedelta('0 days 04:00:00')
    """
    import pandas as pd

    if timeframe not in TIMEFRAMES:
        raise ConfigError(
            "unknown timeframe", found=repr(timeframe), expected=", ".join(TIMEFRAMES)
        )
    return pd.Timedelta(int(timeframe[:-1]), unit=_UNITS[timeframe[-1]])


def moment(text: str, where: str = "as_of") -> pd.Timestamp:
    """Read a moment with an explicit zone as UTC.

    Raises
    ------
    ConfigError
        When the text is no moment, or names no zone.

    Examples
    --------
    >>> moment("2025-12-20T09:00+09:00")
    Timestamp('2025-12-20 00:00:00+0000', tz='UTC')
    """
    import pandas as pd

    expected = "a moment with its zone, such as 2025-12-20T00:00Z"
    if not re.match(r"^\d{4}-\d{2}-\d{2}", text):
        raise ConfigError(f"{where} is not a moment", found=repr(text), expected=expected)
    try:
        read = pd.Timestamp(text)
    except ValueError:
        raise ConfigError(f"{where} is not a moment", found=repr(text), expected=expected) from None
    if read.tzinfo is None:
        raise ConfigError(f"{where} names no time zone", found=repr(text), expected=expected)
    return read.tz_convert("UTC").as_unit("ms")


def empty_frame() -> pd.DataFrame:
    """A candle frame without candles."""
    import pandas as pd

    index = pd.DatetimeIndex([], dtype="datetime64[ms, UTC]", name=TIME)
    return pd.DataFrame(index=index, columns=list(USUAL), dtype="float64")


def last_closed(now: pd.Timestamp, timeframe: str) -> pd.Timestamp:
    """Open time of the newest candle that is final at `now`.

    Examples
    --------
    >>> import pandas as pd
    >>> last_closed(pd.Timestamp("2025-12-20T00:30Z"), "1h")
    Timestamp('2025-12-19 23:00:00+0000', tz='UTC')
    """
    step = duration(timeframe)
    return now.floor(step) - step
