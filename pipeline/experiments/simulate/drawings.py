"""The two charts of a simulation: money over time, and skill by the age of a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.evaluation.report.charts import (
    Scale,
    around,
    columns,
    decimals,
    levels,
    line,
    mark,
    share,
    stretched,
    svg,
    thinned,
    ticks,
    time_ticks,
)
from pipeline.evaluation.report.figures import decimal, percent
from pipeline.evaluation.report.layout import legend
from pipeline.evaluation.report.markup import Html, join, tag
from pipeline.experiments.simulate.money import CURVES, Earned
from pipeline.experiments.simulate.policies import FIRST, FLAT, GATED, HOLD, NEWEST, TITLES
from pipeline.experiments.simulate.staleness import Aged

HEIGHT, SMALL = 320, 230
DRAWN = (FLAT, HOLD, GATED, FIRST, NEWEST)  # what stands before lies under what follows
BUCKETS = 400
ROOMY, UNDER = 4, 22  # ages side by side on a phone; pixels below a chart
LEAST_SPREAD = 1e-6
STYLE = """
path.gated{stroke:var(--blue);stroke-width:3}
path.first{stroke:var(--orange)}
path.newest{stroke:var(--ink);stroke-dasharray:7 4;stroke-width:1.75}
path.buy_and_hold{stroke:var(--grey);stroke-dasharray:2 5}
path.always_flat{stroke:var(--strong-line)}
.swatch.drawn{height:0;border-radius:0;background:none;vertical-align:middle}
.swatch.gated{border-top:4px solid var(--blue)}
.swatch.first{border-top:3px solid var(--orange)}
.swatch.newest{border-top:2px dashed var(--ink)}
.swatch.buy_and_hold{border-top:3px dotted var(--grey)}
.swatch.always_flat{border-top:2px solid var(--strong-line)}
.swatch.aged{--s:var(--orange);width:11px;height:11px;border-radius:9px}
.swatch.fresh{--s:var(--card);width:11px;height:11px;border-radius:9px;
box-shadow:inset 0 0 0 2px var(--blue)}
.aged circle{fill:var(--orange)}
.aged line{stroke:var(--orange);stroke-width:5;stroke-opacity:.32;stroke-linecap:round}
.fresh circle{fill:var(--card);stroke:var(--blue);stroke-width:2}
"""


def equity(money: Earned) -> Html:
    """What each policy made of the start, day by day."""
    table = money.equity
    days = pd.DatetimeIndex(table.index)
    span = Scale(days[0].timestamp(), max(days[-1].timestamp(), days[0].timestamp() + 1))
    worth = {name: table[name].to_numpy("float64") for name in CURVES}
    scale = around([1.0, *(end for each in worth.values() for end in (each.min(), each.max()))])
    values, marks = ticks(scale, 6), time_ticks(days[0], days[-1], 8)
    xs = np.asarray([span.at(day.timestamp()) for day in days])
    paths = []
    for name, each in ((name, worth[name]) for name in DRAWN):
        at, kept = thinned(xs, each, BUCKETS)
        paths.append(line(list(at), [scale.at(value) for value in kept], f"curve {name}"))
    ends = ", ".join(f"{TITLES[name]} {decimal(each[-1], 3)}" for name, each in worth.items())
    return join(
        [
            legend([(f"drawn {name}", _legend(name, worth[name][-1])) for name in CURVES]),
            svg(
                f"Equity, times the start, at the end: {ends}",
                levels(scale, values, [decimal(value, decimals(values)) for value in values]),
                stretched(*paths),
                columns([span.at(at.timestamp()) for at, _ in marks], [name for _, name in marks]),
                height=HEIGHT,
            ),
        ]
    )


def skill_by_age(aged: Sequence[Aged]) -> Html:
    """Skill of aged models and of the newest on the same candles."""
    scale = around([0.0, *(value for each in aged for value in (each.skill, each.fresh_skill))])
    found = [
        join(
            [
                tag("g", _dot(_place(aged, k), scale.at(each.fresh_skill)), class_="fresh"),
                tag("g", _dot(_place(aged, k), scale.at(each.skill)), class_="aged"),
            ]
        )
        for k, each in enumerate(aged)
    ]
    return _by_age("Skill over the class shares", "by log loss", aged, (scale, percent), found)


def loss_by_age(aged: Sequence[Aged]) -> Html:
    """What age costs: log loss less the newest model's, with its interval."""
    ends = [end for each in aged if each.gap for end in (each.gap.low, each.gap.high)]
    scale = around([0.0, *ends])
    found = []
    for k, each in enumerate(aged):
        x, gap = share(_place(aged, k)), each.gap
        if gap is None:
            found.append(tag("g", _dot(_place(aged, k), scale.at(0.0)), class_="fresh"))
            continue
        low, high = (share(1 - scale.at(end)) for end in (gap.low, gap.high))
        beam = tag("line", x1=x, x2=x, y1=low, y2=high)
        found.append(tag("g", beam, _dot(_place(aged, k), scale.at(gap.value)), class_="aged"))
    return _by_age("What age costs", "nats a row, 90 % interval", aged, (scale, None), found)


def _by_age(
    title: str,
    unit: str,
    aged: Sequence[Aged],
    how: tuple[Scale, object],
    found: Sequence[Html],
) -> Html:
    scale, shown = how
    values = ticks(scale, 5)
    digits = decimals(values)
    written = (
        [percent(value, max(digits - 2, 0)) for value in values]
        if shown is percent
        else [decimal(value, digits) for value in values]
    )
    zero = share(1 - scale.at(0.0))
    names = [f"{each.to_days:g}" for each in aged]
    crowded = len(aged) > ROOMY
    marks = [
        mark(_place(aged, k), "100%", name, "wide under" if crowded and k % 2 else "under", UNDER)
        for k, name in enumerate(names)
    ]
    return tag(
        "div",
        tag(
            "p",
            title,
            tag("span", f", {unit}, by age up to so many days", class_="note"),
            class_="chart-title",
        ),
        svg(
            f"{title}, {unit}, by age of the model in days: {', '.join(names)}",
            levels(scale, values, written),
            tag("line", class_="zero", x1=0, x2="100%", y1=zero, y2=zero),
            *found,
            *marks,
            height=SMALL,
        ),
    )


def _place(aged: Sequence[Aged], number: int) -> float:
    return (number + 0.5) / len(aged)


def _dot(x: float, y: float) -> Html:
    return tag("circle", cx=share(x), cy=share(1 - y), r=5.5)


def _legend(name: str, end: float) -> str:
    if name == FLAT:
        return TITLES[name]
    change = 0.0 if abs(end - 1.0) < LEAST_SPREAD else end - 1.0
    return f"{TITLES[name]}, {percent(change, signed=True)}"
