"""One event per line, as JSON, under ``logs/`` of the home folder."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

from pipeline.config import home
from pipeline.errors import ConfigError
from registry.files import append_line

FILE = "vintage.jsonl"


def event(name: str, **facts: Any) -> None:
    """Append one event; the moment and the process are added.

    A log that cannot be written never stops the work it tells about.
    """
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"at": moment, "event": name, "pid": os.getpid(), **facts}, default=str)
    try:
        append_line(home() / "logs" / FILE, line)
    except (OSError, ConfigError) as error:
        os.write(2, f"log not written: {error}\n".encode())
