"""``vintage backtest``: what trading a version's out-of-fold rows came to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.commands.arguments import checkout, parse, parser
from pipeline.commands.console import progress, told
from pipeline.config import home
from pipeline.errors import ConfigError
from pipeline.operations.backtests import Asked, Backtested, backtest_version
from registry.files import write_atomic
from registry.slots import Slot

EXAMPLES = (
    "vintage backtest recipe=demo",
    "vintage backtest upbit_hourly/KRW-SOL v0003",
    "vintage backtest recipe=demo backtest=bingx_futures market.fee_bps=2",
)
NONE = "-"
FIGURES = {
    "total_return": ("return", "%"),
    "annual_return": ("a year", "%"),
    "drawdown": ("deepest drawdown", "%"),
    "sharpe": ("Sharpe", "2"),
    "sortino": ("Sortino", "2"),
    "calmar": ("Calmar", "2"),
    "trades": ("trades", "0"),
    "win_rate": ("won", "%"),
    "profit_factor": ("profit factor", "2"),
    "long_share": ("long", "%"),
    "exposure": ("time in the market", "%"),
    "turnover": ("turnover, times the equity", "1"),
    "fee": ("fees, of the start", "%"),
    "slippage": ("slippage, of the start", "%"),
    "funding": ("funding, of the start", "%"),
}
GROUPS = {"side": "side", "reason": "exit", "regime": "regime"}


def main(argv: Sequence[str]) -> int:
    """Backtest a registered version and print what came of it."""
    made = parser("backtest", "Trade a version's out-of-fold rows; nothing is trained.", EXAMPLES)
    made.add_argument(
        "words", nargs="*", metavar="slot [version] | key=value", help="whose rows, and how"
    )
    made.add_argument("--trades", type=Path, metavar="FILE", help="write every trade as CSV")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    given = parse(made, argv)
    with progress("backtest"):
        done = backtest_version(asked_of(given.words), checkout() / "conf", home())
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


def story(done: Backtested) -> Iterator[str]:
    """Lines for people: the figures beside doing nothing, where they come from, and warnings."""
    facts = done.facts()
    multiples: dict[str, Any] = facts["costs"]
    first = next(iter(multiples))
    yield f"{done.slot} {done.version}, out of fold {facts['from'][:10]} to {facts['to'][:10]}"
    yield f"{_rules(facts['profile'])}\n"
    yield from _lines(_figures(facts))
    for group, title in GROUPS.items():
        found = multiples[first]["by"][group]
        if found:
            rows = [
                [name, f"{row['trades']}", _text(row["pnl"], "%")] for name, row in found.items()
            ]
            yield ""
            yield from _lines([[f"by {title}", "trades", "of the start"], *rows])
    yield f"\n{told('luck', _luck(facts))}"
    for number, sentence in enumerate(facts["flags"].values()):
        yield told("" if number else "beware", sentence)


def _figures(facts: dict[str, Any]) -> list[list[str]]:
    multiples, beside = facts["costs"], facts["baselines"]
    held, flat = beside["buy_and_hold"], beside["always_flat"]
    header = ["", *(f"costs {name}" for name in multiples), "buy and hold", "always flat"]
    rows = [
        [
            title,
            *(_text(each[key], kind) for each in multiples.values()),
            *(_text(each[key], kind) if key in each else "" for each in (held, flat)),
        ]
        for key, (title, kind) in FIGURES.items()
    ]
    return [header, *rows]


def _rules(profile: dict[str, Any]) -> str:
    parts = [f"{profile['venue']}, {profile['positions']} at a time at most"]
    if profile["leverage"] != 1:
        parts.append(f"{profile['leverage']:g} times the margin")
    for key, word in (("stop_loss", "stop"), ("take_profit", "profit")):
        if level := profile[key]:
            parts.append(f"{word} {100 * level['share']:g} % of the {level['basis']}")
    if profile["max_holding"]:
        parts.append(f"held {profile['max_holding']} at most")
    parts.append(f"filled at the {profile['fill'].replace('_', ' ')}")
    return ", ".join(parts)


def _luck(facts: dict[str, Any]) -> str:
    if facts["probabilistic_sharpe"] is None:
        return "Nothing moved, so there is no Sharpe ratio to judge."
    alone, among = (
        f"{100 * facts[f'{kind}_sharpe']:.0f} %" for kind in ("probabilistic", "deflated")
    )
    many = facts["trials"]
    return (
        f"The true Sharpe ratio is above 0 with a probability of {alone}; as the best of "
        f"{many} {'configuration' if many == 1 else 'configurations'} tried for this slot, above "
        f"what luck gives with {among}."
    )


def _text(value: float | None, kind: str) -> str:
    if value is None:
        return NONE
    return f"{100 * value:.2f} %" if kind == "%" else f"{value:,.{kind}f}"


def _lines(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join(["", name.ljust(widths[0]), *cells]).rstrip()
