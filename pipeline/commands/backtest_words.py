"""A backtest as lines for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from pipeline.commands.console import WIDTH, told
from pipeline.evaluation.trading_words import funding_words, rules
from pipeline.operations.versions.backtests import Backtested

NONE = "-"
GAP = "\N{NO-BREAK SPACE}"
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
NO_TRADE = "No probability reached its threshold, so nothing was traded."
GROUPS = {"side": "side", "reason": "exit", "regime": "regime"}


def story(done: Backtested) -> Iterator[str]:
    """Lines for people: the figures beside doing nothing, where they come from, and warnings."""
    facts = done.facts()
    first = next(iter(facts["costs"].values()))
    span = " to ".join(minute(facts[end]) for end in ("from", "to"))
    yield f"{done.slot} {done.version}, out of fold {span} UTC"
    yield f"{textwrap.fill(rules(facts['profile']), WIDTH)}\n"
    yield from _lines(_figures(facts))
    for group, title in GROUPS.items():
        found = first["by"][group]
        if found:
            rows = [
                [name, f"{row['trades']}", _text(row["pnl"], "%")] for name, row in found.items()
            ]
            yield ""
            yield from _lines([[f"by {title}", "trades", "of the start"], *rows])
    yield ""
    if first["by"]["hour"]:
        yield told("by hour", _hours(first["by"]["hour"]))
    yield from (told(name, text) for name, text in _windows(facts["costs"]))
    if facts["profile"]["venue"] == "swap":
        yield told("funding", funding_words(facts["funding"]))
    yield told("luck", _luck(facts))
    nothing = [] if first["trades"] else [NO_TRADE]
    for number, sentence in enumerate([*nothing, *facts["flags"].values()]):
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


def _hours(found: dict[str, Any]) -> str:
    each = ", ".join(
        f"{hour}h{GAP}{100 * row['pnl']:.2f}{GAP}({row['trades']})" for hour, row in found.items()
    )
    return f"percent of the start, by the hour of entry in UTC (trades): {each}"


def _windows(costs: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """One line for each multiple of the costs."""
    for number, (name, one) in enumerate(costs.items()):
        means = one["five_days"]
        if not means["windows"]:
            yield "five days", "The rows do not span five days, so there is no such window."
            return
        text = (
            f"costs {name}: {_text(means['return'], '%')} a window, {_text(means['trades'], '1')} "
            f"trades, {_text(means['win_rate'], '%')} won, {_text(means['long_share'], '%')} long; "
            f"{_text(means['excess'], '%')} beside buying and holding"
        )
        if not number:
            regimes = ", ".join(
                f"{regime} {_text(each['return'], '%')} ({each['windows']})"
                for regime, each in means["by_regime"].items()
            )
            text += (
                f". Means of {means['windows']} windows of five days, a day apart, each from the "
                f"same start; {regimes}"
            )
        yield "" if number else "five days", f"{text}."


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


def minute(moment: str) -> str:
    """A moment to the minute."""
    return moment[:16].replace("T", " ")


def _text(value: float | None, kind: str) -> str:
    if value is None:
        return NONE
    return f"{100 * value:.2f} %" if kind == "%" else f"{value:,.{kind}f}"


def _lines(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join(["", name.ljust(widths[0]), *cells]).rstrip()
