"""Whether the skill rests on a member of a pool, on a kind of market or on a month."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.evaluation.report.beside import Comparison, compared
from pipeline.evaluation.report.charts import Scale
from pipeline.evaluation.report.every_figure import NAMES, reach, shown
from pipeline.evaluation.report.facts import Facts, HeadFacts
from pipeline.evaluation.report.figures import NOTHING, count, decimal, percent
from pipeline.evaluation.report.layout import Place, details, figure, lede, section, stacking, table
from pipeline.evaluation.report.markup import Content, join, tag
from pipeline.evaluation.report.scores import track

HEADER = ("When", "Brier skill", "Over the class shares", "Direction AUC", "Independent rows")
SKILL, DIRECTION = "brier_skill", "direction_auc"
LEAST_ROWS = 2.0
ROOM = 1.1
REGIMES = {
    "calm": "calmer than two thirds of the last 90 days",
    "normal": "in between",
    "wild": "wilder than two thirds of them",
}
CAPTION = (
    "Dot: the Brier skill there, with the interval that luck leaves at 90 % confidence. Upright "
    "stroke: the class shares, at 0. A part has fewer rows than the whole, and one part in ten "
    "leaves its baseline by luck alone. Independent rows of the parts may sum to more than those "
    "of the whole: rows of one regime lie apart, so their labels overlap less."
)


def parts(head: HeadFacts, place: Place) -> Content:
    """Skill by member, by regime and by month."""
    found = {**head.by_member, **head.by_regime, **head.by_month}
    each = {name: _skill(part) for name, part in found.items() if part["metrics"]}
    if not each:
        return None
    ends = [end for one in each.values() for end in (one.value, one.low, one.high)]
    reach = ROOM * max([abs(end) for end in ends if math.isfinite(end)] + [0.01])
    rows = list(_rows(found, each, Scale(-reach, reach)))
    return section(
        place,
        "when",
        "By market, regime and month" if head.by_member else "By regime and month",
        lede(_finding(each, head)),
        figure(
            stacking(HEADER, rows, "scores parts"),
            details(
                "The figures",
                table(*_figures(found), "Figures by regime and month", "numbers every"),
            ),
            caption=CAPTION,
        ),
    )


def _figures(found: Mapping[str, Facts]) -> tuple[list[str], list[list[Content]]]:
    """Every figure that is told of a part, one row each, with its interval."""
    told = {name: part["metrics"] for name, part in found.items() if part["metrics"]}
    names = [name for name in NAMES if any(name in metrics for metrics in told.values())]
    rows: list[list[Content]] = [
        [NAMES[name], *(_cell(name, metrics.get(name)) for metrics in told.values())]
        for name in names
    ]
    return ["Figure", *told], rows


def _cell(name: str, told: Facts | None) -> Content:
    if told is None:
        return NOTHING
    note = tag("span", reach(name, told), class_="note")
    return join([tag("span", shown(name, told["value"]), class_="figure"), note])


def _skill(part: Facts) -> Comparison:
    few = (part["effective_rows"] or 0.0) < LEAST_ROWS
    return compared(SKILL, part["metrics"][SKILL], 0.0, few)


def _finding(each: Mapping[str, Comparison], head: HeadFacts) -> str:
    above = sum(one.value > 0 for one in each.values())
    regimes = [name for name in each if name in head.by_regime and each[name].word == "better"]
    text = f"The Brier skill is above 0 in {above} of {len(each)} parts"
    if members := [name for name in head.by_member if name in each]:
        good = [name for name in members if each[name].word == "better"]
        text += f", by more than luck on {' and '.join(good) or 'no market'}"
    if regimes:
        return f"{text}; by more than luck in a market that is {' or '.join(regimes)}."
    return f"{text}; in no regime by more than luck."


def _rows(
    found: Mapping[str, Any], each: Mapping[str, Comparison], scale: Scale
) -> Iterator[list[Content]]:
    for name, one in each.items():
        part = found[name]
        auc = part["metrics"].get(DIRECTION, {}).get("value")
        yield [
            join(
                [
                    tag("span", name, class_="score"),
                    tag("span", REGIMES[name], class_="note") if name in REGIMES else None,
                ]
            ),
            tag("span", percent(one.value, signed=True), class_="figure"),
            track(one, scale),
            tag("span", NOTHING if auc is None else decimal(auc, 2), class_="figure quiet"),
            join(
                [
                    tag("span", decimal(part["effective_rows"], 1), class_="figure quiet"),
                    tag("span", f"of {count(part['rows'])} rows", class_="note"),
                ]
            ),
        ]
