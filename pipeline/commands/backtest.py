"""``vintage backtest``: what trading a version's out-of-fold rows came to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.commands.arguments import checkout, parse, parser
from pipeline.commands.backtest_words import story
from pipeline.commands.console import progress
from pipeline.config import home
from pipeline.errors import ConfigError
from pipeline.operations.versions.backtests import Asked, backtest_version
from registry.files import write_atomic
from registry.slots import Slot

EXAMPLES = (
    "vintage backtest recipe=demo",
    "vintage backtest upbit_hourly/KRW-SOL v0003",
    "vintage backtest recipe=demo backtest=bingx_futures market.fee_bps=2",
)


def main(argv: Sequence[str]) -> int:
    """Backtest a registered version and print what came of it."""
    made = parser("backtest", "Trade a version's out-of-fold rows; nothing is trained.", EXAMPLES)
    made.add_argument(
        "words", nargs="*", metavar="slot [version] | key=value", help="whose rows, and how"
    )
    made.add_argument("--trades", type=Path, metavar="FILE", help="write every trade as CSV")
    made.add_argument("--funding", type=Path, metavar="FILE", help="recorded funding payments")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    given = parse(made, argv)
    with progress("backtest"):
        asked = replace(asked_of(given.words), funding=given.funding)
        done = backtest_version(asked, checkout() / "conf", home())
    if given.trades:
        write_atomic(given.trades, done.trading.trades().to_csv(index=False).encode())
    print(json.dumps(done.facts()) if given.json else "\n".join(story(done)))
    return 0


def asked_of(words: Sequence[str]) -> Asked:
    """Tell a slot and a version from ``key=value`` words.

    Examples
    --------
    >>> asked_of(["demo/SIM-BTC", "v0001", "backtest=upbit_spot"]).version
    'v0001'
    """
    chosen = tuple(word for word in words if "=" in word)
    named = [word for word in words if "=" not in word]
    if len(named) > 2:  # noqa: PLR2004 - a slot and a version
        raise ConfigError(
            "too many words", found=" ".join(named), expected="a slot, then a version of it"
        )
    if named and "/" not in named[0]:
        raise ConfigError(
            "the first word is no slot",
            found=named[0],
            expected="recipe/market, such as demo/SIM-BTC",
            fix="vintage registry list shows the slots",
        )
    slot = Slot.parse(named[0]) if named else None
    return Asked(chosen, slot, named[1] if len(named) > 1 else None)
