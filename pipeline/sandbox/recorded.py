"""Candles of files, as the loopback exchange serves them: `replay` reads, this finds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pandas as pd

from pipeline.errors import ConfigError
from pipeline.market.candles import TIMEFRAMES
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.replay import CODES, Replay

EVER = (pd.Timestamp("2009-01-01T00:00Z"), pd.Timestamp("2100-01-01T00:00Z"))
_FILE = re.compile(r"^(?P<symbol>[A-Z0-9-]+)-(?P<code>\d+[mhd])\.(?P<ending>parquet|csv)$")
_TIMEFRAMES = {code: name for name, code in CODES.items()} | {name: name for name in TIMEFRAMES}


def files(folder: Path) -> dict[tuple[str, str], Path]:
    """Find the files of a folder by plain symbol (without dash, base before USDT) and timeframe.

    Raises
    ------
    ConfigError
        When the folder holds no file that is named like one.
    """
    found = {key: path for path in sorted(folder.glob("*")) for key in _keys(path)}
    if not found:
        raise ConfigError(
            "holds no candle files",
            where=str(folder),
            expected="files such as KRW-SOL-60m.parquet or BTCUSDT-5m.csv",
        )
    return found


def read(path: Path, timeframe: str) -> pd.DataFrame:
    """Every candle of a file as it is now, oldest first.

    Raises
    ------
    DataError
        As the replay of that file.
    """
    return _read(path.absolute(), timeframe, path.stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _read(path: Path, timeframe: str, _changed: int) -> pd.DataFrame:
    named = _FILE.fullmatch(path.name)
    assert named is not None
    pattern = f"{{symbol}}-{named['code']}.{named['ending']}"
    market = Instrument(name=named["symbol"], symbol=named["symbol"])
    return Replay(root=path.parent, pattern=pattern).fetch(market, timeframe, *EVER)


def _keys(path: Path) -> Iterator[tuple[str, str]]:
    named = _FILE.fullmatch(path.name)
    if named and named["code"] in _TIMEFRAMES:
        yield named["symbol"].replace("-", ""), _TIMEFRAMES[named["code"]]
