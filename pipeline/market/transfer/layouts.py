"""What the name of a file says about the candles in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.market.candles import TIMEFRAMES
from pipeline.market.series import Series

QUOTES = ("USDT", "USDC", "BUSD", "FDUSD", "KRW", "USD", "BTC")
CODES = {
    **{name: name for name in TIMEFRAMES},
    "60m": "1h",
    "240m": "4h",
    "day": "1d",
    "days": "1d",
    "minute60": "1h",
    "minute240": "4h",
    **{f"minute{name[:-1]}": name for name in TIMEFRAMES if name.endswith("m")},
}
UNKNOWN = "unknown"
OWN = "vintage data export"
SUFFIXES = (".csv", ".parquet", ".feather", ".json")


@dataclass(frozen=True, slots=True)
class Layout:
    """Who writes files of this name, and which series they hold, as far as the name says.

    Parameters
    ----------
    forming
        Whether its writer leaves the candle in the file that was still forming.
    """

    writer: str
    feed: str | None
    market: str | None
    timeframe: str | None
    forming: bool = True


def recognise(path: Path) -> Layout:
    """Read a file's name; what it does not say is None.

    Raises
    ------
    ConfigError
        When the kind of file is unknown, or it holds no candles of trades.

    Examples
    --------
    >>> recognise(Path("BTC_USDT_USDT-5m-futures.feather"))
    Layout(writer='freqtrade', feed=None, market='BTC-USDT', timeframe='5m', forming=True)
    >>> recognise(Path("KRW_BTC_minute60.csv"))
    Layout(writer='pyupbit', feed='upbit', market='KRW-BTC', timeframe='1h', forming=True)
    >>> recognise(Path("BTCUSDT_5m_max.csv"))
    Layout(writer='exchange dump', feed=None, market='BTC-USDT', timeframe='5m', forming=True)
    >>> own = recognise(Path("upbit_KRW-SOL_1h.csv"))
    >>> own.writer, own.feed, own.forming
    ('vintage data export', 'upbit', False)
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError("is no file of candles", where=str(path), expected=", ".join(SUFFIXES))
    for pattern, read in NAMES:
        if match := pattern.fullmatch(path.stem):
            return read(*match.groups())
    return Layout(UNKNOWN, None, None, None)


def own(series: Series) -> Layout:
    """Layout of a file that names its series itself."""
    return Layout(OWN, series.feed, series.market, series.timeframe, forming=False)


def market_of(symbol: str) -> str | None:
    """Name of the market that an exchange's symbol stands for.

    Examples
    --------
    >>> market_of("BTCUSDT"), market_of("BTC_KRW"), market_of("nothing")
    ('BTC-USDT', 'KRW-BTC', None)
    """
    plain = symbol.replace("_", "").replace("-", "").upper()
    quote = next((name for name in QUOTES if plain.endswith(name) and plain != name), None)
    if quote is None:
        return None
    base = plain.removesuffix(quote)
    return f"KRW-{base}" if quote == "KRW" else f"{base}-{quote}"


def _named(feed: str, market: str, timeframe: str) -> Layout:
    return Layout(OWN, feed, market, CODES.get(timeframe), forming=False)


def _freqtrade(pair: str, timeframe: str, kind: str | None) -> Layout:
    if kind not in (None, "futures", "spot"):
        raise ConfigError(
            f"these are no candles of trades but of {kind}",
            where=f"{pair}-{timeframe}-{kind}",
            expected="a name that ends in futures, or in the timeframe",
        )
    base, quote, *_ = pair.split("_")
    return Layout("freqtrade", None, market_of(f"{base}_{quote}"), CODES.get(timeframe))


def _pyupbit(quote: str, base: str, timeframe: str | None) -> Layout:
    code = CODES.get(timeframe) if timeframe else None
    return Layout("pyupbit", "upbit", f"{quote}-{base}", code)


def _dump(symbol: str, timeframe: str) -> Layout:
    return Layout("exchange dump", None, market_of(symbol), CODES.get(timeframe))


CODE = r"(\d+[mhd]|minute\d+|days?)"
NAMES: list[tuple[re.Pattern[str], Callable[..., Layout]]] = [
    (re.compile(r"([a-z][a-z0-9-]*(?:_pyupbit)?)_([A-Z0-9]+-[A-Z0-9]+)_(\w+)"), _named),
    (re.compile(rf"([A-Z0-9]+_[A-Z0-9]+(?:_[A-Z0-9]+)?)-{CODE}(?:-(\w+))?"), _freqtrade),
    (re.compile(rf"(KRW)[_-]([A-Z0-9]+)(?:[_-]{CODE}(?:_\w+)?)?"), _pyupbit),
    (re.compile(rf"([A-Z0-9]+(?:[-_](?:USDT|USDC|USD))?)[_-]{CODE}(?:[_-]\w+)?"), _dump),
]
