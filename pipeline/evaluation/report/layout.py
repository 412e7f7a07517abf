"""Sections, figures and tables of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.evaluation.report.markup import Content, Html, join, tag


@dataclass(frozen=True, slots=True)
class Place:
    """Where a section stands: the rank of its heading, and what makes its anchor unique."""

    rank: int = 2
    suffix: str = ""

    def anchor(self, name: str) -> str:
        """The section's anchor."""
        return f"{name}{self.suffix}"


def section(place: Place, name: str, title: str, *children: Content) -> Html:
    """A part of the page under a heading."""
    anchor = place.anchor(name)
    heading = tag(f"h{place.rank}", title, id=anchor)
    return tag("section", heading, *children, aria_labelledby=anchor)


def lede(*children: Content) -> Html:
    """What a section found, before it is shown."""
    return tag("p", *children, class_="lede")


def figure(*children: Content, caption: str = "") -> Html:
    """A chart or table with what is to be read in it."""
    return tag("figure", *children, tag("figcaption", caption) if caption else None, class_="card")


def legend(entries: Iterable[tuple[str, str]]) -> Html:
    """What each colour means: (class of the swatch, words)."""
    items = (
        tag("li", tag("span", class_=f"swatch {kind}", aria_hidden="true"), text)
        for kind, text in entries
    )
    return tag("ul", *items, class_="legend")


def grid(cells: Iterable[Content], kind: str = "") -> Html:
    """Small charts beside one another, as many as there is room for; `half`: two at most."""
    return tag("div", *cells, class_=f"grid-of {kind}".strip())


def table(
    header: Sequence[Content], rows: Iterable[Sequence[Content]], label: str, kind: str = ""
) -> Html:
    """A table that scrolls inside itself; the first cell of each row is its heading."""
    head = tag("tr", *(tag("th", cell, scope="col") for cell in header))
    body = join(
        tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in rest))
        for first, *rest in rows
    )
    whole = tag("table", tag("thead", head), tag("tbody", body), class_=kind or None)
    return tag("div", whole, class_="scroll", role="region", aria_label=label, tabindex=0)


def stacking(header: Sequence[str], rows: Iterable[Sequence[Content]], kind: str) -> Html:
    """A table whose rows become cards where there is little room."""
    head = tag("tr", *(tag("th", cell, scope="col") for cell in header))
    body = join(
        tag(
            "tr",
            tag("th", first, scope="row"),
            *(
                tag("td", cell, data_label=name)
                for name, cell in zip(header[1:], rest, strict=True)
            ),
        )
        for first, *rest in rows
    )
    return tag("table", tag("thead", head), tag("tbody", body), class_=f"stacking {kind}")


def details(summary: str, *children: Content) -> Html:
    """What is shown only when asked for."""
    return tag("details", tag("summary", summary), *children)


def pairs(entries: Iterable[tuple[Content, Content]]) -> Html:
    """Names with their values."""
    return tag(
        "dl",
        *(tag("div", tag("dt", name), tag("dd", value)) for name, value in entries),
        class_="pairs",
    )
