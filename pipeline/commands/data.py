"""``vintage data …``: the candle store."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from pipeline.commands import data_files, data_status, data_sync
from pipeline.commands.arguments import Parser, parse, parser, with_words
from pipeline.errors import ConfigError

SUMMARY = """\
The candle store.

  sync key=value …      fetch what is missing of a market: days=60, since=MOMENT, or what its
                        recipe needs. What is stored is kept; a sync that was interrupted goes on.
  status                what is stored, what is missing in it and why
  import FILE …         candles of freqtrade, pyupbit, an exchange dump, or vintage data export;
                        feed= market= timeframe= zone= say what the file does not
  export SERIES FILE    a series as .csv or .parquet
  backup FILE           the whole store in one file
  restore FILE          put it back, after every byte is verified
  forget SERIES …       delete a series, to fetch it anew from a corrected source
"""
EXAMPLES = [
    "vintage data sync recipe=demo",
    "vintage data sync market=KRW-BTC days=60",
    "vintage data sync market=KRW-BTC since=2024-01-01T00:00Z --force",
    "vintage data import KRW_BTC_minute60.csv --check",
    "vintage data export replay/KRW-SOL/1h replay_KRW-SOL_1h.csv",
    "vintage data backup candles.zip",
]
Action = Callable[[argparse.Namespace], int]
ACTIONS: dict[str, Action] = {
    "sync": data_sync.main,
    "status": data_status.main,
    "import": data_files.bring_in,
    "export": data_files.put_out,
    "backup": data_files.keep,
    "restore": data_files.put_back,
    "forget": data_status.forget,
}
FLAGS = {
    "force": ("sync", "export", "backup", "restore"),
    "repair": ("sync",),
    "check": ("import",),
    "verify": ("status",),
}


def main(argv: Sequence[str]) -> int:
    """Bring candles into the store, look at them, and take them out."""
    asked = parse(with_words(_parser()), argv)
    for flag, actions in FLAGS.items():
        if getattr(asked, flag) and asked.action not in actions:
            raise ConfigError(
                f"--{flag} means nothing to vintage data {asked.action}",
                fix=f"it belongs to {', '.join(actions)}",
            )
    return ACTIONS[asked.action](asked)


def _parser() -> Parser:
    made = parser("data", SUMMARY, EXAMPLES)
    made.add_argument("action", choices=tuple(ACTIONS))
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument(
        "--force",
        action="store_true",
        help="sync: fetch the span anew, keeping what it replaces as one generation; restore: "
        "over newer candles; export, backup: over a file",
    )
    made.add_argument(
        "--repair", action="store_true", help="sync: ask for every hole of the series again"
    )
    made.add_argument(
        "--check", action="store_true", help="import: say what it would do, write nothing"
    )
    made.add_argument(
        "--verify", action="store_true", help="status: read every candle, name what is damaged"
    )
    return made
