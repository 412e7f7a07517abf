"""``vintage reproduce``: whether a version can be made again, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from pipeline.commands.arguments import checkout, parse, parser
from pipeline.commands.console import progress, told
from pipeline.config import home
from pipeline.operations.places import Places
from pipeline.operations.versions.reproducing import Asked, Reproduced, reproduce_version
from registry.slots import Slot

DIFFERENT = 1
SHOWN = 12
EXAMPLES = (
    "vintage reproduce demo/SIM-BTC v0001",
    "vintage reproduce upbit_hourly@replay/KRW-SOL v0003 exchange.root=FOLDER",
)


def main(argv: Sequence[str]) -> int:
    """Build a version again in a folder of its own; 0 only when every byte is the same."""
    made = parser("reproduce", "Make a version again and hold every byte against it.", EXAMPLES)
    made.add_argument("slot", metavar="SLOT")
    made.add_argument("version", metavar="VERSION")
    made.add_argument("words", nargs="*", metavar="exchange.KEY=value", help="where candles lie")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    given = parse(made, argv)
    asked = Asked(Slot.parse(given.slot), given.version, tuple(given.words))
    with progress("reproduce") as show:
        now = pd.Timestamp.now(tz="UTC")
        done = reproduce_version(asked, Places(home(), checkout()), now, show)
    print(json.dumps(_facts(done)) if given.json else "\n".join(_story(done)))
    return 0 if done.identical else DIFFERENT


def _facts(done: Reproduced) -> dict[str, Any]:
    return {**asdict(done), "slot": str(done.slot), "identical": done.identical}


def _story(done: Reproduced) -> Iterator[str]:
    word = "identical" if done.identical else "NOT identical"
    size = f"{done.files} files, {done.bytes / 2**20:.1f} MiB"
    yield f"{done.slot} {done.version}: {word} ({size})"
    yield ""
    for name in ("changed", "missing", "extra"):
        if files := getattr(done, name):
            more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
            yield told(name, ", ".join(files[:SHOWN]) + more)
    for cause, text in [] if done.identical else done.causes.items():
        yield told(cause, text)
    if not (done.identical or done.causes):
        yield told("why", "Nothing that is recorded differs: code whose result depends on threads.")
    yield told("kept", "Nothing was registered and no trial counted; the scratch folder is gone.")
