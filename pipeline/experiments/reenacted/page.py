"""A re-enactment as one page that loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipeline.evaluation.report.charts import Scale, around, share, svg
from pipeline.evaluation.report.figures import GAP
from pipeline.evaluation.report.layout import Place, figure, lede, pairs, section, stacking
from pipeline.evaluation.report.markup import Content, Html, bare, join, tag
from pipeline.evaluation.report.page_head import page_head
from pipeline.experiments.reenacted.figures import Figure, Reenacted
from pipeline.experiments.reenacted.writing import shown

OWN_STYLE = """
.claimed{--tone:var(--grey)}.leaked{--tone:var(--orange)}
.flattered,.empty{--tone:var(--grey)}.honest{--tone:var(--blue)}
.standing{color:var(--tone);font-weight:600;display:block;font-size:14px}
@media(min-width:701px){
.figures td,.figures tbody th{vertical-align:middle}
.figures tbody th{width:27%}
.figures td:nth-child(3){width:19%}
}
.figures td:nth-child(2) .figure{color:var(--ink);font-size:17px}
.figures .beam{fill:var(--tone)}
.figures .claimed .beam{fill:none;stroke:var(--tone);stroke-width:2}
.why{display:block}
.whys li+li{margin-top:14px}
.whys{margin-top:16px;max-width:74ch}
@media(max-width:700px){
.figures th,.figures td:nth-child(3){grid-column:1/-1}
.figures td:nth-child(2)::before,.figures td:nth-child(n+4)::before{content:attr(data-label);
display:block;color:var(--quiet);font-size:14px}
}
"""
CAPTION = (
    "Bars start at 0. Orange: the models had seen the rows they are asked about. Grey: they had "
    "not, but rules or fees are kinder than a market, or the answer is always the same. Blue: what "
    "it would have come to. The outlined bar is what was claimed."
)
HEIGHT = 28


def render(found: Reenacted) -> str:
    """One self-contained page, without script and without any request; equal facts, equal text."""
    head = page_head(f"Re-enacted: {found.title}", OWN_STYLE)
    page = tag("html", head, tag("body", tag("main", *_sections(found)), _foot()), lang="en")
    return f"<!doctype html>\n{page}\n"


def _sections(found: Reenacted) -> Iterator[Html]:
    yield _verdict(found)
    yield _figures(found)
    yield _whys(found)
    yield _how(found)


def _verdict(found: Reenacted) -> Html:
    kind = "refuse" if found.earned_by in ("leaked", "empty") else ""
    card = tag(
        "section",
        tag("span", found.earned, class_="badge"),
        tag("p", *_said(found), class_="plain"),
        class_=f"verdict {kind}".strip(),
        aria_label="What is left of the claim",
    )
    return tag(
        "header", tag("p", "Re-enacted", class_="eyebrow"), tag("h1", bare(found.title)), card
    )


def _said(found: Reenacted) -> Iterator[Content]:
    column = found.columns[0]
    yield f"Claimed: {_together(found.claim)} "
    if found.earned_by == "empty":
        same = [each for each in found.reached if each.standing == "empty"]
        value = shown(same[0].values[column.key], column.kind)
        yield f"Always saying the same comes to as much: {value}. So it says nothing of a model."
    elif found.reached:
        values = [shown(one.values[column.key], column.kind) for one in found.reached]
        yield f"As much comes out only where it is {found.earned}: {' or '.join(values)}."
    else:
        yield "Nothing here comes to as much."
    honest = [one.values[column.key] for one in found.figures if one.standing == "honest"]
    if honest:
        yield f" Honestly it comes to {' or '.join(shown(one, column.kind) for one in honest)}."


def _figures(found: Reenacted) -> Html:
    first = found.columns[0].key
    values = [each.values[first] or 0.0 for each in found.figures]
    scale = around([0.0, *values], 0.04)
    cards = (
        figure(
            tag("p", group, class_="chart-title") if group else None,
            stacking(_header(found), _rows(figures, found, scale), "figures"),
            caption=CAPTION if not number else "",
        )
        for number, (group, figures) in enumerate(found.groups.items())
    )
    return section(Place(), "figures", "Claimed, leaked, honest", *cards)


def _header(found: Reenacted) -> list[str]:
    first, *rest = (column.title for column in found.columns)
    return ["Figure", first, "", *rest]


def _rows(figures: Iterable[Figure], found: Reenacted, scale: Scale) -> Iterator[list[Content]]:
    first, *rest = found.columns
    for each in figures:
        value = each.values[first.key]
        yield [
            join(
                [
                    tag("span", each.title, class_="score"),
                    _standing(each),
                ]
            ),
            tag("span", shown(value, first.kind), class_="figure"),
            _beam(each, value or 0.0, scale),
            *(
                tag("span", shown(each.values[column.key], column.kind), class_="figure quiet")
                for column in rest
            ),
        ]


def _beam(one: Figure, value: float, scale: Scale) -> Html:
    zero, end = scale.at(0.0), scale.at(value)
    low, high = min(zero, end), max(zero, end)
    drawn = tag("rect", class_="beam", x=share(low), width=share(high - low), y=5, height=18)
    return tag(
        "div",
        svg(
            f"{one.title}: {one.verdict}",
            drawn,
            tag("line", class_="zero", x1=share(zero), x2=share(zero), y1=0, y2=HEIGHT),
            height=HEIGHT,
            kind="beams",
        ),
        class_=one.standing,
    )


def _standing(one: Figure) -> Html | None:
    """The verdict, where the title does not say it already."""
    if one.verdict == one.title.lower():
        return None
    return tag("span", one.verdict, class_=f"standing {one.standing}")


def _whys(found: Reenacted) -> Html:
    told = {one.why: one for one in found.figures}
    items = (
        tag("li", tag("b", one.title), _standing(one), tag("span", _together(why), class_="why"))
        for why, one in told.items()
    )
    return section(Place(), "whys", "What each figure is", tag("ul", *items, class_="whys"))


def _how(found: Reenacted) -> Html:
    differs = (tag("li", _together(text)) for text in found.differs)
    unknown = (tag("p", f"Not run again: {_together(text)}") for text in found.unknown)
    return section(
        Place(),
        "how",
        "How it was re-enacted",
        lede("On recorded candles, by the features, models and backtest of this product."),
        tag(
            "div",
            pairs((key.capitalize(), text) for key, text in found.told.items()),
            class_="card",
        ),
        tag("p", "Where it is not the original:", class_="against") if found.differs else None,
        tag("ul", *differs, class_="whys"),
        *unknown,
    )


def _together(text: str) -> str:
    """A number and its percent sign stay on one line."""
    return text.replace(" %", f"{GAP}%")


def _foot() -> Html:
    return tag("footer", tag("p", "Past candles tell nothing about future ones."))
