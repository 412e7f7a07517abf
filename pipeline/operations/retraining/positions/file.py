"""Open positions from the state file that a trading bot keeps, read so that doubt is not flat.

The file is one JSON object: ``timestamp``, the moment it was written, and ``trades``, a list of
objects whose ``status`` is ``OPEN`` or ``CLOSED``. Any other content is doubt.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd
from pydantic import field_validator

from pipeline.config import Record, home
from pipeline.errors import ConfigError, paragraph
from pipeline.operations.retraining.positions.base import Patience, Span, Standing, length

OPEN, CLOSED = "OPEN", "CLOSED"
MOST_BYTES = 64 * 2**20
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:")


class FilePositions(Record):
    """A bot's state file; the market is flat when none of its trades is open.

    The file is that of one bot and names no market, so each of its open trades counts. `zone` is
    that of moments in the file without one.
    """

    path: Path | None = None
    max_age: Span = "15m"
    zone: str = "UTC"
    patience: Patience = Patience()

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        try:
            return ZoneInfo(zone).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"'{zone}' is no time zone, such as Asia/Seoul") from None

    def standing(self, _markets: Sequence[str], now: pd.Timestamp, /) -> Standing:
        """Flat only where a whole, recent file says that every trade is closed.

        Raises
        ------
        ConfigError
            When no file is named.
        """
        try:
            return self._judged(self._read(), now)
        except _DoubtError as doubt:
            return Standing(False, str(doubt))

    def _read(self) -> Mapping[str, Any]:
        if self.path is None:
            raise ConfigError(
                "no file is named that tells the positions",
                where="positions=file",
                fix="positions.path=FILE, or write it into conf/positions/file.yaml",
            )
        path = home() / self.path
        try:
            if not path.is_file():
                raise _doubt("there is no such file", path)
            if (size := path.stat().st_size) > MOST_BYTES:
                raise _doubt("the file is too long to be a bot's state", path, f"{size} bytes")
            state = json.loads(path.read_bytes())
        except OSError as error:
            raise _doubt("the file cannot be read", path, str(error.strerror)) from None
        except (ValueError, RecursionError):
            raise _doubt("the file is no JSON, or is being written", path) from None
        if not isinstance(state, dict):
            raise _doubt("the file holds no JSON object", path, type(state).__name__)
        return state

    def _judged(self, state: Mapping[str, Any], now: pd.Timestamp) -> Standing:
        age = now - self._written(state)
        if age < pd.Timedelta(0):
            raise _doubt("it was written in the future", self.path, str(state["timestamp"]))
        if age > length(self.max_age):
            found = f"{state['timestamp']}, {age.total_seconds() / 60:.0f} minutes ago"
            raise _doubt("it is too old to tell of now", self.path, found, self.max_age)
        trades = Counter(_statuses(state, self.path))
        if strange := sorted(set(trades) - {OPEN, CLOSED}):
            raise _doubt("a trade is neither open nor closed", self.path, strange[0])
        if trades[OPEN]:
            plural = "s are" if trades[OPEN] > 1 else " is"
            return Standing(False, f"{trades[OPEN]} position{plural} open ({self.path})")
        closed = f"none of {trades[CLOSED]} trades is open" if trades else "there are no trades"
        return Standing(True, f"{closed} ({self.path})")

    def _written(self, state: Mapping[str, Any]) -> pd.Timestamp:
        told = state.get("timestamp")
        unsure = _doubt("it does not say when it was written", self.path, str(told))
        if not (isinstance(told, str) and _DAY.match(told)):
            raise unsure
        try:
            moment = pd.Timestamp(told)
            here = moment.tz_localize(self.zone) if moment.tzinfo is None else moment
            return here.tz_convert("UTC")
        except (ValueError, TypeError, OverflowError):
            raise unsure from None


class _DoubtError(Exception):
    """Why the file is not believed."""


def _doubt(what: str, path: Path | None, found: str = "", most: str = "") -> _DoubtError:
    expected = f"at most {most} old" if most else ""
    told = paragraph(what, where=str(path), found=found, expected=expected)
    return _DoubtError(f"positions are not known, which is not flat: {told.rstrip('.')}")


def _statuses(state: Mapping[str, Any], path: Path | None) -> list[str]:
    trades = state.get("trades")
    if not isinstance(trades, list) or not all(isinstance(trade, dict) for trade in trades):
        raise _doubt("it has no list of trades", path)
    return [str(trade.get("status")) for trade in trades]
