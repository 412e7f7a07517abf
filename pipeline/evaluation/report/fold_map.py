"""Which candles each fit was trained and tested on, under the price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.evaluation.chronology import trained_on_later
from pipeline.evaluation.report.charts import (
    Scale,
    columns,
    line,
    mark,
    share,
    stretched,
    svg,
    thinned,
    time_ticks,
)
from pipeline.evaluation.report.facts import Facts, HeadFacts
from pipeline.evaluation.report.figures import count, minute, things
from pipeline.evaluation.report.layout import Place, details, figure, lede, legend, section, table
from pipeline.evaluation.report.markup import Content, Html, join, tag

Block = Sequence[str]  # first and last open time
PRICE = 96  # pixels
ROW = 46
BAR = 14
BUCKETS = 300
HEADER = (
    "Fit", "Trained on", "From", "To", "Purged", "Tested on", "From ", "To "
)  # fmt: skip
LEGEND = (
    ("train", "trained on"),
    ("purge", "purged: left out beside the test"),
    ("test", "tested on, never seen before"),
    ("refit", "the last fit, which is served"),
)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The span of time that the map shows."""

    first: pd.Timestamp
    last: pd.Timestamp

    def at(self, moment: str | pd.Timestamp) -> float:
        """Share of the width at a moment."""
        stamps = (self.first.timestamp(), max(self.last.timestamp(), self.first.timestamp() + 1))
        return Scale(*stamps).at(pd.Timestamp(moment).timestamp())


def fold_map(head: HeadFacts, candles: pd.DataFrame, place: Place) -> Html:
    """Training, purge and test of each fit on one axis of time."""
    fits = head.training["fits"]
    return section(
        place,
        "folds",
        "What was trained and tested when",
        lede(_finding(fits, head.training["paths"]), _warm_up(fits, candles)),
        figure(
            legend(LEGEND),
            _map(fits, candles),
            details("The figures", table(HEADER, _rows(fits), "Rows of each fit", "numbers")),
            caption=_caption(candles),
        ),
    )


def _finding(fits: Sequence[Facts], paths: int) -> str:
    tested = [fit for fit in fits if fit.get("test_rows")]
    early = trained_on_later(tested)
    purged = sum(fit.get("purged_rows", 0) for fit in tested)
    sentences = [_order(len(tested), early), _left_out(purged, early)]
    if paths > 1:
        sentences.append(
            f"A row was predicted by {count(paths)} models: the figures are means over as many "
            "paths; charts, tables of right and wrong and the money show the first prediction of "
            "each row."
        )
    return " ".join(sentences)


def _warm_up(fits: Sequence[Facts], candles: pd.DataFrame) -> str | None:
    """How many candles of one market lie before the first row, where two fits begin with it."""
    starts = sorted(pd.Timestamp(fit["train_from"]) for fit in fits)
    first = starts[0]
    if len({*candles.index.get_level_values("market")}) != 1 or starts.count(first) == 1:
        return None
    early = int((candles.index.get_level_values("time") < first).sum())
    if not early:
        return None
    return (
        f" Before the first training row {'lies' if early == 1 else 'lie'} "
        f"{things(early, 'candle')}: the warm-up of the feature set, whose columns look so far "
        "back."
    )


def _order(tests: int, early: int) -> str:
    if early:
        return (
            f"{things(tests, 'test')}, {count(early)} of them with candles older than some that "
            "the model was trained on: this says how well the method learns, not what it would "
            "have been worth at the time."
        )
    follow = "tests, each" if tests != 1 else "test,"
    return f"{count(tests)} {follow} on candles later than those its model was trained on."


def _left_out(purged: int, early: int) -> str:
    if not purged:
        return "No training row had a label that reaches into its test."
    follow = ", or that follow a test too closely," if early else ""
    return (
        f"{things(purged, 'training row')} whose label reaches into a test{follow} "
        f"{'was' if purged == 1 else 'were'} left out."
    )


def _caption(candles: pd.DataFrame) -> str:
    markets = list(dict.fromkeys(candles.index.get_level_values("market")))
    price = f"Above: closing price of {markets[0]}. " if markets else ""
    return f"{price}A purge is drawn three pixels wide where it would be thinner."


def _map(fits: Sequence[Facts], candles: pd.DataFrame) -> Html:
    calendar = _calendar(fits, candles)
    marks = time_ticks(calendar.first, calendar.last)
    places = [calendar.at(moment) for moment, _ in marks]
    names = [name for _, name in marks]
    grid = join(
        tag("line", class_="grid", x1=share(x), x2=share(x), y1=0, y2="100%") for x in places
    )
    description = "; ".join(_label(fit) for fit in fits)
    return svg(
        f"Spans of training and test of each fit: {description}",
        grid,
        tag("svg", _price(calendar, candles), height=PRICE, width="100%"),
        *(_fit(fit, calendar, PRICE + number * ROW) for number, fit in enumerate(fits)),
        columns(places, names),
        height=PRICE + ROW * len(fits) + BAR,
        kind="plot flush map",
    )


def _calendar(fits: Sequence[Facts], candles: pd.DataFrame) -> Calendar:
    moments = [
        pd.Timestamp(moment)
        for fit in fits
        for key, moment in fit.items()
        if key.endswith(("_from", "_to"))
    ]
    moments += list(pd.DatetimeIndex(candles.index.get_level_values("time"))[[0, -1]])
    return Calendar(min(moments), max(moments))


def _price(calendar: Calendar, candles: pd.DataFrame) -> Html:
    market = candles.index.get_level_values("market")
    one = candles[market == market[0]]
    time = pd.DatetimeIndex(one.index.get_level_values("time"))
    span = (calendar.last - calendar.first) / pd.Timedelta("1s")
    xs = np.asarray((time - calendar.first) / pd.Timedelta("1s"), "float64") / max(span, 1.0)
    close = one["close"].to_numpy("float64")
    scale = Scale(close.min(), max(close.max(), close.min() + 1e-12))
    xs, ys = thinned(xs, (close - scale.low) / (scale.high - scale.low), BUCKETS)
    return stretched(line(list(xs), list(ys), "price"))


def _fit(fit: Facts, calendar: Calendar, top: int) -> Html:
    refit = "test_from" not in fit
    y = top + ROW - BAR
    trained = "refit" if refit else "train"
    parts = [_span(block, calendar, trained, y) for block in fit["train_blocks"]]
    parts += [_purge(block, calendar, y) for block in fit.get("purged_blocks", ())]
    parts += [_span(block, calendar, "test", y) for block in fit.get("test_blocks", ())]
    return tag("g", mark(0.0, y - 8, _label(fit), "fit"), *parts)


def _span(block: Block, calendar: Calendar, kind: str, y: int) -> Html:
    left, right = (calendar.at(moment) for moment in block)
    description = f"{kind} {minute(block[0])} to {minute(block[1])}"
    return tag(
        "rect",
        tag("title", description),
        x=share(left),
        y=y,
        width=share(max(right - left, 0.002)),
        height=BAR,
        class_=kind,
    )


def _purge(block: Block, calendar: Calendar, y: int) -> Html:
    left, right = (calendar.at(moment) for moment in block)
    middle = share((left + right) / 2)
    return join(
        [
            tag(
                "rect",
                x=share(left),
                y=y - 2,
                width=share(right - left),
                height=BAR + 4,
                class_="purge",
            ),
            tag("line", x1=middle, x2=middle, y1=y - 2, y2=y + BAR + 2, class_="purge"),
        ]
    )


def _label(fit: Facts) -> str:
    parts = [f"{count(fit['train_rows'])} trained"]
    if fit.get("purged_rows"):
        parts.append(f"{count(fit['purged_rows'])} purged")
    if fit.get("test_rows"):
        parts.append(f"{count(fit['test_rows'])} tested")
    return f"{fit['fit']}: {' · '.join(parts)}"


def _rows(fits: Sequence[Facts]) -> Iterator[list[Content]]:
    for fit in fits:
        yield [
            fit["fit"],
            count(fit["train_rows"]),
            minute(fit["train_from"]),
            minute(fit["train_to"]),
            count(fit.get("purged_rows", 0)),
            count(fit.get("test_rows")),
            minute(fit.get("test_from")),
            minute(fit.get("test_to")),
        ]
