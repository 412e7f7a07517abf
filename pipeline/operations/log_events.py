"""Reading ``logs/vintage.jsonl``: whole lines, in their order, as long as it is being written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import log
from pipeline.errors import ConfigError, nearest
from pipeline.market.candles import moment
from pipeline.operations.periods import is_period, seconds_of
from registry.tables import cell

Event = dict[str, Any]
LEAD = ("at", "event", "level", "slot")
EMPTY: tuple[Any, ...] = (None, "", [], {})  # tell nothing
SHOWN_LETTERS = 300  # of one value


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are shown; `about` is a slot, or the first letters of a run."""

    about: str = ""
    event: str = ""
    level: str = log.INFO
    since: pd.Timestamp | None = None

    def takes(self, event: Event) -> bool:
        """Whether an event is one of them."""
        about = not self.about or self._is_about(event)
        named = not self.event or event["event"] == self.event
        return about and named and self._weighs(event) and self._is_recent(event)

    def _is_about(self, event: Event) -> bool:
        return event.get("slot") == self.about or str(event.get("run", "")).startswith(self.about)

    def _weighs(self, event: Event) -> bool:
        level = event.get("level", log.INFO)
        known = level if level in log.LEVELS else log.INFO
        return log.LEVELS.index(known) >= log.LEVELS.index(self.level)

    def _is_recent(self, event: Event) -> bool:
        return self.since is None or event["at"] >= self.since


@dataclass(slots=True)
class LogFile:
    """A log that may grow, be replaced or be cut while it is read.

    `damaged` counts lines that are no events; they are skipped. A last line that is not complete
    yet is read when it is.
    """

    path: Path
    damaged: int = 0
    place: int = 0
    file: int = 0

    def read(self) -> Iterator[Event]:
        """Events that came since the last time; of the first time, all. `at` is a moment."""
        try:
            with self.path.open("rb") as lines:
                self._find(lines.fileno())
                lines.seek(self.place)
                for line in lines:
                    if not line.endswith(b"\n"):
                        return
                    self.place += len(line)
                    if (event := _event(line)) is not None:
                        yield event
                    else:
                        self.damaged += 1
        except FileNotFoundError:
            return

    def _find(self, descriptor: int) -> None:
        stat = os.fstat(descriptor)
        if stat.st_ino != self.file or stat.st_size < self.place:
            self.file, self.place = stat.st_ino, 0


def since_of(text: str, now: pd.Timestamp) -> pd.Timestamp:
    """Read ``2d`` as two days before now, or a moment with its zone.

    Raises
    ------
    ConfigError
        When the text is neither.

    Examples
    --------
    >>> since_of("2d", pd.Timestamp("2025-12-20T00:00Z"))
    Timestamp('2025-12-18 00:00:00+0000', tz='UTC')
    """
    if is_period(text):
        return now - pd.Timedelta(seconds=seconds_of(text))
    try:
        return moment(text, "--since")
    except ConfigError as error:
        raise ConfigError(
            "--since is neither a length of time nor a moment",
            found=repr(text),
            expected="90s, 30m, 2h, 7d, or a moment with its zone, such as 2025-12-20T00:00Z",
        ) from error


def level_of(text: str) -> str:
    """Check the name of a level.

    Raises
    ------
    ConfigError
        Naming the nearest.
    """
    if text not in log.LEVELS:
        raise ConfigError(f"unknown level '{text}'", where="--level", fix=nearest(text, log.LEVELS))
    return text


def line_of(event: Mapping[str, Any]) -> str:
    r"""One event on one line; what a terminal would obey is replaced.

    Examples
    --------
    >>> line_of({"at": pd.Timestamp("2025-12-20T00:00Z"), "event": "stage", "stage": "tr\x1bain"})
    '2025-12-20 00:00:00  info     stage  stage=tr?ain'
    """
    lead = [f"{event['at']:%Y-%m-%d %H:%M:%S}", f"{cell(event.get('level', log.INFO)):<7}"]
    lead += [cell(event["event"])]
    lead += [cell(event["slot"])] if "slot" in event else []
    told = [key for key in event if key not in (*LEAD, "pid") and event[key] not in EMPTY]
    facts = [f"{cell(key)}={_short(event[key])}" for key in told]
    return "  ".join([*lead, " ".join(facts)]).rstrip()


def json_of(event: Mapping[str, Any]) -> str:
    """The event as one line of JSON, in ASCII."""
    return json.dumps({**event, "at": event["at"].isoformat()})


def _event(line: bytes) -> Event | None:
    try:
        read = json.loads(line)
        if not isinstance(read, dict) or not isinstance(read.get("event"), str):
            return None
        at = pd.Timestamp(read["at"]) if isinstance(read.get("at"), str) else None
    except (ValueError, RecursionError):
        return None
    if at is None or pd.isna(at) or at.tzinfo is None:
        return None
    return {**read, "at": at.tz_convert("UTC")}


def _short(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, dict | list) else cell(value)
    text = text if len(text) <= SHOWN_LETTERS else f"{text[:SHOWN_LETTERS]}…"
    return json.dumps(text) if " " in text and not isinstance(value, dict | list) else text
