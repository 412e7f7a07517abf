"""One HTTP answer, whole and with its body read, in the shape that ccxt and pyupbit expect."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import pandas as pd

from pipeline.market.exchanges.faults import LONGEST_BLOCK, Fault, garbage

SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
OK, BAD_REQUEST, NOT_FOUND, SERVER_ERROR = 200, 400, 404, 500


@dataclass(slots=True)
class Answer:
    """Status, headers (looked up without regard to case) and body."""

    status_code: int
    reason: str
    headers: Mapping[str, str]
    content: bytes
    encoding: str = "utf-8"

    @property
    def ok(self) -> bool:
        """Whether the status tells no error."""
        return self.status_code < BAD_REQUEST

    @property
    def text(self) -> str:
        """The body; bytes that are no UTF-8 become replacement marks."""
        return self.content.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """The body as JSON.

        Raises
        ------
        Fault
            When it is none.
        """
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            raise garbage("the answer is no JSON", self.text) from None

    @property
    def is_json(self) -> bool:
        """Whether the body is JSON."""
        try:
            self.json()
        except Fault:
            return False
        return True

    def raise_for_status(self) -> None:
        """Nothing: the status was judged when the answer came."""

    @property
    def date(self) -> pd.Timestamp | None:
        """The venue's clock, to the second, as its Date header tells it."""
        return _moment(self.headers.get("Date", ""))

    @property
    def retry_after(self) -> float | None:
        """Seconds of its Retry-After header, at most the longest block there is."""
        told = self.headers.get("Retry-After", "")
        if SECONDS.fullmatch(told):
            return min(float(told), LONGEST_BLOCK)
        moment, date = _moment(told), self.date
        if moment is None or date is None:
            return None
        return min(max(0.0, (moment - date).total_seconds()), LONGEST_BLOCK)


def fields(node: Any) -> Mapping[str, Any]:
    """The node if it is a JSON object, else an empty one."""
    return node if isinstance(node, dict) else {}


def a_list(node: Any, what: str) -> list[Any]:
    """The node if it is a JSON list.

    Raises
    ------
    Fault
        When it is something else.
    """
    if not isinstance(node, list):
        raise garbage(f"{what} is no list", node)
    return node


def _moment(text: str) -> pd.Timestamp | None:
    try:
        moment = pd.Timestamp(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError):
        return None
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
