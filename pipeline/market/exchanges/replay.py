"""Candles out of the user's own files, read as they are and never repaired."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field, ValidationInfo, field_validator

from pipeline.config import Record, RunOnlyPath, home
from pipeline.errors import DataError
from pipeline.market.candles import (
    COLUMNS,
    REQUIRED,
    TIME,
    TIMEFRAMES,
    duration,
    empty_frame,
    last_closed,
)
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.replay_files import (
    Clock,
    load,
    numbers,
    require,
    require_increasing,
)

CODES = {
    "1m": "1m",
    "3m": "3m",
    "5m": "5m",
    "15m": "15m",
    "30m": "30m",
    "1h": "60m",
    "4h": "240m",
    "1d": "1d",
}
SHOWN = 20
READING = {"columns", "zone", "stamp", "unit"}


class Replay(Record):
    """One Parquet or CSV file for each market and timeframe, in a folder."""

    root: RunOnlyPath | None = None
    pattern: Annotated[str, Field(pattern=r"\.(parquet|csv)$")] = "{symbol}-{code}.parquet"
    codes: dict[str, str] = Field(default_factory=dict)
    columns: dict[str, str] = Field(default_factory=dict)
    zone: str | None = "UTC"
    stamp: Literal["open", "close"] = "open"
    unit: Literal["s", "ms"] | None = None

    @field_validator("root")
    @classmethod
    def _existing_folder(cls, root: Path | None) -> Path | None:
        if root is None:
            return None
        folder = root.expanduser()
        if not (folder if folder.is_absolute() else home() / folder).is_dir():
            raise ValueError("is no folder")
        return folder

    @field_validator("codes", "columns")
    @classmethod
    def _known_names(cls, told: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        valid = CODES if info.field_name == "codes" else (TIME, *COLUMNS)
        if unknown := sorted(set(told) - set(valid)):
            raise ValueError(f"{unknown[0]} is none of {', '.join(valid)}")
        return told

    @field_validator("pattern")
    @classmethod
    def _known_places(cls, pattern: str) -> str:
        try:
            pattern.format(symbol="", market="", timeframe="", code="")
        except (KeyError, IndexError, ValueError):
            raise ValueError("may hold {symbol}, {market}, {timeframe} and {code} only") from None
        return pattern

    @property
    def feed(self) -> str:
        """``replay`` for the default reading of a file, else with a digest of what differs.

        So candles read with another zone or from other columns never meet in the store.
        """
        chosen = self.model_dump(include=READING)
        if chosen == Replay().model_dump(include=READING):
            return "replay"
        text = json.dumps(chosen, sort_keys=True)
        return f"replay-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    @property
    def reachable(self) -> bool:
        """Whether a folder was given."""
        return self.root is not None

    @property
    def omits_empty(self) -> bool:
        """False: nobody says why a file lacks a candle."""
        return False

    @property
    def timeframes(self) -> tuple[str, ...]:
        """Any; whether there is a file shows when it is read."""
        return TIMEFRAMES

    def first_candle(self, market: Instrument, timeframe: str) -> pd.Timestamp | None:
        """Open time of the first candle of its file, or None when it has none.

        Raises
        ------
        DataError
            As `fetch`.
        """
        times = self._read(market, timeframe).index
        return times[0] if len(times) else None

    def fetch(
        self, market: Instrument, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        """Candles of the file with ``start <= time`` and ``time + timeframe <= end``.

        The whole file is checked, whatever is asked of it. Without a column for it in the
        file, value is left out.

        Raises
        ------
        DataError
            Naming file, column and row: no such file or column, no number, no moment, a moment
            twice or out of order. Rows are counted from 1, a header not among them.
        """
        candles = self._read(market, timeframe)
        newest = last_closed(end, timeframe)
        return candles[(candles.index >= start) & (candles.index <= newest)]

    def newest(self, market: Instrument, timeframe: str, now: pd.Timestamp) -> pd.Timestamp | None:
        """Open time of the file's last candle that is closed at `now`.

        Raises
        ------
        DataError
            As `fetch`.
        """
        times = self._read(market, timeframe).index
        closed = times[times <= last_closed(now, timeframe)]
        return closed[-1] if len(closed) else None

    def _read(self, market: Instrument, timeframe: str) -> pd.DataFrame:
        path = self._path(market, timeframe)
        table = load(path)
        if table.empty:
            return empty_frame()
        wanted = {name: self.columns.get(name, name) for name in COLUMNS}
        clock = self.columns.get(TIME, "timestamp")
        require(table, [clock, *(wanted[name] for name in REQUIRED)], path)
        times = Clock(self.zone, self.unit).read(table[clock], f"{path}, column {clock}")
        if self.stamp == "close":
            times = times - duration(timeframe)
        require_increasing(times, f"{path}, column {clock}")
        columns = {
            name: numbers(table[found], f"{path}, column {found}")
            for name, found in wanted.items()
            if found in table.columns
        }
        return pd.DataFrame(columns, index=times)

    def _path(self, market: Instrument, timeframe: str) -> Path:
        if self.root is None:
            raise DataError(
                "replay has no folder to read from",
                where=market.name,
                fix="give exchange.root=FOLDER",
            )
        duration(timeframe)
        folder = home() / self.root if not self.root.is_absolute() else self.root
        name = self.pattern.format(
            symbol=market.symbol,
            market=market.name,
            timeframe=timeframe,
            code=self.codes.get(timeframe, CODES[timeframe]),
        )
        if not (folder / name).is_file():
            raise _no_file(folder, name)
        return folder / name


def _no_file(folder: Path, name: str) -> DataError:
    if not folder.is_dir():
        return DataError(
            "the folder of the replay does not exist",
            where=str(folder),
            fix="correct exchange.root",
        )
    there = sorted(path.name for path in folder.iterdir())
    shown = ", ".join(there[:SHOWN]) + (
        f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
    )
    return DataError(
        "the replay has no such file",
        where=str(folder),
        found=shown or "an empty folder",
        expected=name,
        fix="correct exchange.pattern, exchange.codes or the market's symbol",
    )
