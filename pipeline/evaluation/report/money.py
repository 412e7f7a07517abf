"""What trading the out-of-fold rows came to, after costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from pipeline.evaluation.backtest import Result
from pipeline.evaluation.backtest.figures import drawdowns
from pipeline.evaluation.report.charts import (
    Floats,
    Scale,
    around,
    columns,
    decimals,
    levels,
    line,
    share,
    stretched,
    svg,
    thinned,
    ticks,
    time_ticks,
)
from pipeline.evaluation.report.figures import GAP, count, decimal, percent, things, words
from pipeline.evaluation.report.layout import (
    Place,
    details,
    figure,
    grid,
    lede,
    legend,
    section,
    table,
)
from pipeline.evaluation.report.markup import Content, Html, tag
from pipeline.evaluation.report.windows import five_days
from pipeline.evaluation.trading import Trading
from pipeline.evaluation.trading_words import funding_words, rules

HEIGHT = 240
BUCKETS = 400
LEGEND = (("curve validation", "traded"), ("curve training", "buying and holding"))
CAPTION = (
    "Equity in units of the start, after fees, slippage and funding; drawdown: what is lost since "
    "the highest equity so far. The grey line is staying out. Only candles that the "
    "models were not trained on."
)
SHARES = {
    "total_return": "Return",
    "annual_return": "Return a year, at this pace",
    "drawdown": "Deepest drawdown",
    "win_rate": "Trades won",
    "long_share": "Long, of all trades",
    "exposure": "Time in the market",
    "fee": "Fees, of the start",
    "slippage": "Slippage, of the start",
    "funding": "Funding, of the start",
}
RATIOS = {
    "sharpe": "Sharpe ratio",
    "sortino": "Sortino ratio",
    "calmar": "Calmar ratio",
    "profit_factor": "Won for each unit lost",
    "turnover": "Turnover, times the equity",
}
SIGNED = frozenset({"total_return", "annual_return"})
GROUPS = {"side": "Side", "reason": "Closed by", "regime": "Market over 20 candles"}
EARNED = ("Trades", "Earned, of the start")


def money(trading: Trading, place: Place) -> Html:
    """Equity and drawdown beside buying and holding, figures at every cost, and warnings."""
    title, result = "After costs", trading.result
    if result is None:
        text = f"Nothing was traded: {trading.why_not}."
        return section(place, "money", title, lede(text))
    told = trading.facts()
    return section(
        place,
        "money",
        title,
        lede(_finding(told)),
        tag("p", _luck(told)),
        _warnings(told),
        figure(legend(LEGEND), grid(_charts(result), "half"), caption=CAPTION),
        figure(
            table(*_figures(told), "Figures after costs", "numbers"),
            details("Where it was earned", grid(_groups(told))),
            five_days(told["costs"]),
            caption=_caption(told),
        ),
    )


def _finding(told: dict[str, Any]) -> str:
    (_, one), *more = told["costs"].items()
    held = told["baselines"]["buy_and_hold"]["total_return"]
    beside = f"Buying and holding {_came(held)}, staying out nothing."
    if not one["trades"]:
        return f"No probability reached its threshold, so nothing was traded. {beside}"
    dearer = "".join(f" ({_came(each['total_return'])} at costs {name})" for name, each in more)
    trades = things(one["trades"], "trade")
    return f"Trading it {_came(one['total_return'])} after costs{dearer}, in {trades}. {beside}"


def _came(share_of_start: float) -> str:
    word = "earned" if share_of_start >= 0 else "lost"
    return f"{word} {percent(abs(share_of_start))}"


def _luck(told: dict[str, Any]) -> str | None:
    chance = told["probabilistic_sharpe"]
    if chance is None:
        return None
    return (
        f"Its Sharpe ratio is truly above 0 with a probability of {percent(chance, 0)}, were this "
        "the only configuration that was tried; vintage backtest takes all of them into account."
    )


def _warnings(told: dict[str, Any]) -> Html | None:
    items = [tag("li", sentence) for sentence in told["flags"].values()]
    return tag("ul", *items, class_="flags") if items else None


def _charts(result: Result) -> Iterator[Html]:
    curve = result.curve
    traded, held = (curve[name].to_numpy("float64") for name in ("equity", "buy_and_hold"))
    time = pd.DatetimeIndex(curve.index)
    yield _chart("Equity", "times the start", time, (traded, held), 1.0)
    fallen = (-100 * drawdowns(traded), -100 * drawdowns(held))
    yield _chart("Drawdown", "percent", time, fallen, 0.0)


def _chart(
    title: str, unit: str, time: pd.DatetimeIndex, series: tuple[Floats, Floats], zero: float
) -> Html:
    span = Scale(time[0].timestamp(), max(time[-1].timestamp(), time[0].timestamp() + 1))
    scale = around([zero, *(end for each in series for end in (each.min(), each.max()))])
    values = ticks(scale, 6)
    marks = time_ticks(time[0], time[-1], 5)
    xs = np.linspace(0.0, 1.0, len(time)) if len(time) < 2 else _places(time)  # noqa: PLR2004
    paths = []
    for each, kind in zip(series, ("curve validation", "curve training"), strict=True):
        at, worth = thinned(xs, each, BUCKETS)
        paths.append(line(list(at), [scale.at(value) for value in worth], kind))
    level = share(1 - scale.at(zero))
    ends = f"traded {decimal(series[0][-1], 2)}, buying and holding {decimal(series[1][-1], 2)}"
    return tag(
        "div",
        tag("p", title, tag("span", f", {unit}", class_="note"), class_="chart-title"),
        svg(
            f"{title}, {unit}, at the end: {ends}",
            levels(scale, values, [decimal(value, decimals(values)) for value in values]),
            tag("line", class_="zero", x1=0, x2="100%", y1=level, y2=level),
            stretched(*reversed(paths)),
            columns([span.at(at.timestamp()) for at, _ in marks], [name for _, name in marks]),
            height=HEIGHT,
        ),
    )


def _places(time: pd.DatetimeIndex) -> Floats:
    past = np.asarray((time - time[0]) / pd.Timedelta("1s"), "float64")
    return np.asarray(past / past[-1])


def _figures(told: dict[str, Any]) -> tuple[tuple[str, ...], list[list[Content]]]:
    costs, beside = told["costs"], told["baselines"]
    others = (beside["buy_and_hold"], beside["always_flat"])
    header = ("Figure", *(f"Costs {name}" for name in costs), "Held", "Flat")
    rows: list[list[Content]] = []
    for key, name in (SHARES | RATIOS).items():
        cells = [_cell(key, each[key]) for each in costs.values()]
        known = (_cell(key, each[key]) if key in each else "" for each in others)
        rows.append([name, *cells, *known])
    trades = [f"{count(each['trades'])}" for each in costs.values()]
    rows.insert(3, ["Trades", *trades, "", count(0)])
    return header, rows


def _cell(key: str, value: float | None) -> str:
    if key in SHARES:
        return percent(value, 2, signed=key in SIGNED)
    return decimal(value, 2)


def _groups(told: dict[str, Any]) -> Iterator[Html]:
    first = next(iter(told["costs"].values()))
    for group, title in (*GROUPS.items(), ("hour", "Hour, UTC")):
        rows = [
            [words(name), count(of["trades"]), percent(of["pnl"], 2, signed=True)]
            for name, of in first["by"][group].items()
        ]
        if rows:
            yield table((title, *EARNED), rows, f"Earned by {title.lower()}", "numbers")


def _caption(told: dict[str, Any]) -> str:
    paid = f" Funding is {funding_words(told['funding'])}." if _swap(told) else ""
    return (
        f"{words(rules(told['profile']))}.{paid} Ratios are of daily returns, over a year. Held: "
        "bought at the first open and sold at the last close; flat: staying out."
    ).replace(" %", f"{GAP}%")


def _swap(told: dict[str, Any]) -> bool:
    return bool(told["profile"]["venue"] == "swap")
