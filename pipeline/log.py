"""One event per line, as JSON, under ``logs/`` of the home folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pipeline.config import home
from pipeline.errors import ConfigError
from registry.files import append_line

FILE = "vintage.jsonl"
INFO, WARNING, ERROR = LEVELS = ("info", "warning", "error")
TAGS = {"run": "VINTAGE_RUN", "slot": "VINTAGE_SLOT"}  # child processes inherit them


def event(name: str, level: str = INFO, **facts: Any) -> None:
    """Append one event; the moment, the process, and the run and slot it belongs to are added.

    A log that cannot be written never stops the work it tells about.

    Parameters
    ----------
    level
        One of `LEVELS`.
    """
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    known = {"at": moment, "event": name, "level": level, "pid": os.getpid(), **_tags()}
    line = json.dumps({**known, **facts}, default=str)
    try:
        append_line(home() / "logs" / FILE, line)
    except (OSError, ConfigError) as error:
        with contextlib.suppress(OSError):  # it may lie on the same full disk
            os.write(2, f"log not written: {error}\n".encode())


@contextlib.contextmanager
def tagged(**tags: str) -> Iterator[None]:
    """Events of this process and of those it starts belong to a `run` or a `slot` meanwhile."""
    with environment({TAGS[name]: value for name, value in tags.items()}):
        yield


@contextlib.contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Variables of this process and of those it starts, meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _tags() -> dict[str, str]:
    return {name: os.environ[variable] for name, variable in TAGS.items() if variable in os.environ}
