"""Whether a probability means what it says."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.evaluation.report.calibration import Bin, reliability
from pipeline.evaluation.report.charts import (
    Scale,
    columns,
    levels,
    line,
    share,
    stretched,
    svg,
    ticks,
)
from pipeline.evaluation.report.facts import HeadFacts
from pipeline.evaluation.report.figures import count, percent
from pipeline.evaluation.report.layout import Place, details, figure, grid, lede, section, table
from pipeline.evaluation.report.markup import Content, Html, bare, join, tag

HEADER = ("Said, mean", "Happened", "Rows")
HEIGHT = 220
STRIP = 44
GAP = 8
BAR = 0.04  # share of the width
LEAST_TOP = 0.5
BINARY = 2
FEW = 4
CAPTION = (
    "Where a dot lies on the slanted line, a class happened as often as the model said. Upright "
    "strokes: what luck leaves at 90 % confidence. Bars above: how many rows were given such a "
    "probability."
)


def trust(head: HeadFacts, place: Place) -> Html:
    """Reliability of the probabilities of each class."""
    found = {k: _bins(head, k) for k in _shown(head)}
    return section(
        place,
        "trust",
        "How far to trust a probability",
        lede(_finding([each for bins in found.values() for each in bins])),
        figure(
            grid(_chart(head.classes[k], bins) for k, bins in found.items()),
            details("The figures", *(_table(head.classes[k], bins) for k, bins in found.items())),
            caption=CAPTION,
        ),
    )


def _shown(head: HeadFacts) -> list[int]:
    """Every class; of two the second, because the first is its mirror image."""
    many = len(head.classes)
    return [1] if many == BINARY else list(range(many))


def _bins(head: HeadFacts, k: int) -> list[Bin]:
    return reliability(head.probability[:, k], head.happened == k, head.worth)


def _finding(bins: Sequence[Bin]) -> str:
    rows = sum(each.rows for each in bins)
    off = sum(each.rows * abs(each.said - each.happened) for each in bins) / max(rows, 1)
    return (
        f"On average a probability was {100 * off:.0f} percentage points away from how often the "
        "class then happened among rows that were given about the same."
    )


def _chart(name: str, bins: Sequence[Bin]) -> Html:
    top = 1.1 * max(max(each.said, each.happened) for each in bins)
    scale = Scale(0.0, min(max(LEAST_TOP, top), 1.0))
    values = ticks(scale, 6)
    under = values[:: 2 if len(values) > FEW else 1]
    texts = [percent(value, 0) for value in values]
    description = "; ".join(
        f"said {percent(b.said, 0)}, happened {percent(b.happened, 0)}" for b in bins
    )
    return tag(
        "div",
        tag("p", "How often ", bare(name), " happened", class_="chart-title"),
        svg(
            f"How often {name} happened, by the probability it was given: {description}",
            _strip(bins, scale),
            tag(
                "svg",
                levels(scale, values, texts),
                stretched(line([0, 1], [0, 1], "diagonal")),
                *(_dot(each, scale) for each in bins),
                columns(
                    [scale.at(value) for value in under], [percent(value, 0) for value in under]
                ),
                y=STRIP,
                width="100%",
                height=HEIGHT,
            ),
            height=HEIGHT + STRIP,
        ),
        tag("p", "probability that was said", class_="axis note"),
    )


def _strip(bins: Sequence[Bin], scale: Scale) -> Html:
    fullest, room = max(each.rows for each in bins), STRIP - GAP
    return join(
        tag(
            "rect",
            tag("title", f"{count(each.rows)} rows"),
            x=share(scale.at(each.said) - BAR / 2),
            width=share(BAR),
            y=room * (1 - each.rows / fullest),
            height=room * each.rows / fullest,
            class_="rows",
        )
        for each in bins
    )


def _dot(each: Bin, scale: Scale) -> Html:
    x = share(scale.at(each.said))
    low, high = max(each.happened - each.reach, 0.0), min(each.happened + each.reach, scale.high)
    description = (
        f"said {percent(each.said)}, happened {percent(each.happened)}, {count(each.rows)} rows"
    )
    return tag(
        "g",
        tag("title", description),
        tag("line", x1=x, x2=x, y1=share(1 - scale.at(low)), y2=share(1 - scale.at(high))),
        tag("circle", cx=x, cy=share(1 - scale.at(each.happened)), r=5),
        class_="dot",
    )


def _table(name: str, bins: Sequence[Bin]) -> Html:
    rows: list[list[Content]] = [
        [percent(each.said), f"{percent(each.happened)} ± {percent(each.reach)}", count(each.rows)]
        for each in bins
    ]
    return join(
        [
            tag("p", bare(name), class_="chart-title"),
            table(HEADER, rows, f"Probabilities of {name} against what happened", "numbers"),
        ]
    )
