"""What a venue is asked, and what it answers, before any of it is bytes on a socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any, Literal

import pandas as pd

from pipeline.errors import ConfigError, nearest

VENUES = ("upbit", "bingx", "binance")
JSON = "application/json;charset=UTF-8"
TEXT = "text/plain"

Delivery = Literal["plain", "hang", "drip", "reset", "cut"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as a venue sees it; `turn` counts the requests, `page` the pages of a series."""

    venue: str
    path: str
    query: Mapping[str, str]
    now: pd.Timestamp
    turn: int = 1
    page: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    previous: Answer | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One response; `content` is JSON unless `raw` says the bytes outright."""

    content: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str = JSON
    delivery: Delivery = "plain"
    seconds: float = 0.0

    @property
    def body(self) -> bytes:
        """The bytes of the body."""
        if self.raw is not None:
            return self.raw
        return json.dumps(self.content, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def rows(self) -> list[Any]:
        """The rows of a page of candles; empty where the answer holds none."""
        content = self.content.get("data") if isinstance(self.content, dict) else self.content
        return content if isinstance(content, list) else []


Respond = Callable[[Ask], Answer]


def require_venue(venue: str, where: str = "") -> None:
    """Refuse a venue that is not spoken here.

    Raises
    ------
    ConfigError
        Naming the nearest that is.
    """
    if venue not in VENUES:
        raise ConfigError(
            f"the loopback exchange speaks no '{venue}'", where=where, fix=nearest(venue, VENUES)
        )


def milliseconds(at: pd.Timestamp) -> int:
    """Milliseconds since 1970 of a moment.

    Examples
    --------
    >>> milliseconds(pd.Timestamp("2022-10-24T03:55Z"))
    1666583700000
    """
    return int(at.as_unit("ms").value // 1_000_000)


def http_date(at: pd.Timestamp) -> str:
    """A moment as the Date header says it.

    Examples
    --------
    >>> http_date(pd.Timestamp("2025-12-20T00:00:00.900Z"))
    'Sat, 20 Dec 2025 00:00:00 GMT'
    """
    return format_datetime(at.tz_convert("UTC").floor("s").to_pydatetime(), usegmt=True)
