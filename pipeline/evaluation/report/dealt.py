"""The trades on the candles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from pipeline.evaluation.backtest import Result
from pipeline.evaluation.report.charts import (
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
from pipeline.evaluation.report.figures import count, decimal, minute, percent, things
from pipeline.evaluation.report.layout import Place, details, figure, lede, legend, section, table
from pipeline.evaluation.report.markup import Content, Html, tag
from pipeline.evaluation.trading import Trading
from pipeline.frames import of_market

HEIGHT = 320
BUCKETS = 500
MOST_DRAWN, MOST_LISTED = 400, 50
LEGEND = (("won", "won"), ("lost", "lost"))
HEADER = ("Entry", "Exit", "Side", "Entry price", "Exit price", "Size", "Earned", "Closed by")
CAPTION = (
    "Grey: the closing price. Each stroke goes from the price of an entry to that of its exit; a "
    "dot stands where it was entered, full for long and hollow for short."
)


def dealt(trading: Trading, candles: pd.DataFrame, place: Place) -> Content:
    """Every trade where it happened; nothing where none did."""
    result = trading.result
    if result is None or not len(trades := trading.trades()):
        return None
    close = of_market(candles, result.setup.market.name)["close"]
    close = close.loc[result.curve.index[0] : result.curve.index[-1]]
    newest = trades.sort_values("exit_time", kind="stable").iloc[-MOST_DRAWN:]
    listed = newest.iloc[: -MOST_LISTED - 1 : -1]
    some = f"The newest {count(MOST_DRAWN)} are drawn. " if len(trades) > MOST_DRAWN else ""
    title = "The trades" if len(listed) == len(trades) else f"The newest {len(listed)} trades"
    return section(
        place,
        "trades",
        "Trades on the candles",
        lede(_finding(trades)),
        figure(
            legend(LEGEND),
            _chart(close, newest, result),
            details(title, table(HEADER, _rows(listed), title, "numbers")),
            caption=f"{some}{CAPTION}",
        ),
    )


def _finding(trades: pd.DataFrame) -> str:
    won = int((trades["pnl"] > 0).sum())
    held = (trades["exit_time"] - trades["entry_time"]).dt.total_seconds().median() / 3600
    long = int((trades["side"] == "long").sum())
    sides = "all long" if long == len(trades) else f"{count(long)} of them long"
    return (
        f"{things(len(trades), 'trade')}, {sides}; {count(won)} won. Half were held "
        f"{decimal(held, 1)} h or less."
    )


def _chart(close: pd.Series[Any], trades: pd.DataFrame, result: Result) -> Html:
    first, last = result.curve.index[0], result.curve.index[-1]
    time = Scale(first.timestamp(), max(last.timestamp(), first.timestamp() + 1))
    prices = [close.min(), close.max(), *trades["entry_price"], *trades["exit_price"]]
    scale = around(map(float, prices), 0.04)
    values = ticks(scale, 6)
    marks = time_ticks(first, last, 5)
    past = np.asarray((pd.DatetimeIndex(close.index) - first) / pd.Timedelta("1s"), "float64")
    ys = (close.to_numpy("float64") - scale.low) / (scale.high - scale.low)
    xs, ys = thinned(past / (time.high - time.low), ys, BUCKETS)
    return svg(
        f"Closing price with {things(len(trades), 'trade')}",
        levels(scale, values, [decimal(value, decimals(values)) for value in values]),
        stretched(line(list(xs), list(ys), "price")),
        *_strokes(trades, time, scale),
        columns([time.at(at.timestamp()) for at, _ in marks], [name for _, name in marks]),
        height=HEIGHT,
        kind="plot trades",
    )


def _strokes(trades: pd.DataFrame, time: Scale, scale: Scale) -> Iterator[Html]:
    for trade in trades.to_dict("records"):
        x1, x2 = (
            share(time.at(at.timestamp())) for at in (trade["entry_time"], trade["exit_time"])
        )
        y1, y2 = (
            share(1 - scale.at(price)) for price in (trade["entry_price"], trade["exit_price"])
        )
        yield tag(
            "g",
            tag("line", x1=x1, x2=x2, y1=y1, y2=y2),
            tag("circle", cx=x1, cy=y1, r=2.5),
            class_=f"{'won' if trade['pnl'] > 0 else 'lost'} {trade['side']}",
        )


def _rows(trades: pd.DataFrame) -> Iterator[list[Content]]:
    for trade in trades.to_dict("records"):
        prices = (f"{price:,.6g}" for price in (trade["entry_price"], trade["exit_price"]))
        yield [
            minute(trade["entry_time"]),
            minute(trade["exit_time"]),
            str(trade["side"]),
            *prices,
            percent(trade["share"]),
            percent(trade["pnl"], 3, signed=True),
            str(trade["reason"]),
        ]
