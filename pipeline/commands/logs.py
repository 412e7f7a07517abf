"""``vintage logs``: what happened, filtered, readable, and as it happens."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

import pandas as pd

from pipeline import log
from pipeline.commands.arguments import parse, parser
from pipeline.config import home
from pipeline.errors import ConfigError, nearest
from pipeline.operations.log_events import (
    LogFile,
    Wanted,
    json_of,
    level_of,
    line_of,
    since_of,
)

POLL_SECONDS = 0.5
EXAMPLES = (
    "vintage logs --since 2d --level warning",
    "vintage logs demo/SIM-BTC --event stage",
    "vintage logs -f",
)


def main(argv: Sequence[str], wait: Callable[[float], None] = time.sleep) -> int:
    """Print the events that are asked for; with ``-f``, go on until interrupted."""
    made = parser("logs", "What happened, from logs/vintage.jsonl of the home folder.", EXAMPLES)
    made.add_argument("about", nargs="?", default="", metavar="SLOT or RUN", help="these alone")
    made.add_argument("--since", metavar="2d or MOMENT", help="not what came before")
    made.add_argument("--event", default="", metavar="NAME", help="events of this name alone")
    made.add_argument("--level", default=log.INFO, help=f"at least: {', '.join(log.LEVELS)}")
    made.add_argument("-f", "--follow", action="store_true", help="go on as more comes")
    made.add_argument("--json", action="store_true", help="print each as one line of JSON")
    asked = parse(made, argv)
    now = pd.Timestamp.now(tz="UTC")
    since = since_of(asked.since, now) if asked.since else None
    wanted = Wanted(asked.about, asked.event, level_of(asked.level), since)
    file = LogFile(home() / "logs" / log.FILE)
    _show_all(file, wanted, asked)
    try:
        while asked.follow:
            wait(POLL_SECONDS)
            _show(file, wanted, as_json=asked.json)
    except KeyboardInterrupt:
        return 0
    return 0


def _show_all(file: LogFile, wanted: Wanted, asked: argparse.Namespace) -> None:
    shown, names = _show(file, wanted, as_json=asked.json)
    if file.damaged:
        lines = "a line" if file.damaged == 1 else f"{file.damaged} lines"
        sys.stderr.write(f"{lines} of the log could not be read and were skipped\n")
    if shown or asked.follow:
        return
    unknown = wanted.about and wanted.about not in names
    if names and (unknown or (wanted.event and wanted.event not in names)):
        word = wanted.about if unknown else wanted.event
        raise ConfigError(f"no event of '{word}' in the log", fix=nearest(word, names))
    sys.stderr.write("no such event yet\n")


def _show(file: LogFile, wanted: Wanted, as_json: bool) -> tuple[int, set[str]]:
    """Print the new events; how many, and the slots and names that all of them have."""
    shown, names = 0, set()
    for event in file.read():
        names |= {str(event[key]) for key in ("slot", "event") if key in event}
        if wanted.takes(event):
            shown += 1
            print(json_of(event) if as_json else line_of(event))
    sys.stdout.flush()
    return shown, names
