"""Small pictures as SVG text: rectangles, lines and words, one colour for each standing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal

WIDTH = 760
INK, QUIET, PAPER, RULE = "#1b1f24", "#5b6570", "#ffffff", "#d5dae0"
LEAKED, HONEST, EMPTY = "#d9730d", "#2563b0", "#a3abb5"
Anchor = Literal["start", "middle", "end"]
Point = tuple[float, float]


def picture(title: str, height: int, parts: Iterable[str]) -> str:
    """A whole SVG of the width of a page, white behind it, `title` for those who cannot see it."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="system-ui, sans-serif" role="img">'
    )
    named = f"<title>{escape(title)}</title>"
    paper = box((0, 0), (WIDTH, height), PAPER)
    return "\n".join([head, named, paper, *parts, "</svg>\n"])


def box(corner: Point, size: Point, fill: str, outline: str = "none") -> str:
    """A rectangle from its upper left corner.

    Examples
    --------
    >>> box((0, 1), (2, 3.25), "#fff")
    '<rect x="0" y="1" width="2" height="3.2" fill="#fff" stroke="none"/>'
    """
    (x, y), (width, height) = corner, size
    return (
        f'<rect x="{_at(x)}" y="{_at(y)}" width="{_at(width)}" height="{_at(height)}" '
        f'fill="{fill}" stroke="{outline}"/>'
    )


def words(
    place: Point, text: str, size: int = 14, fill: str = INK, anchor: Anchor = "start"
) -> str:
    """One line of text.

    Examples
    --------
    >>> words((1, 2.5), "up & down", 12, "#fff")
    '<text x="1" y="2.5" font-size="12" fill="#fff" text-anchor="start">up &amp; down</text>'
    """
    return (
        f'<text x="{_at(place[0])}" y="{_at(place[1])}" font-size="{size}" fill="{fill}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def path(points: Sequence[Point], stroke: str, width: float = 2, dashed: bool = False) -> str:
    """A line through points.

    Examples
    --------
    >>> path([(0, 1), (2, 3)], "#fff", 1)
    '<polyline points="0,1 2,3" fill="none" stroke="#fff" stroke-width="1"/>'
    """
    joined = " ".join(f"{_at(x)},{_at(y)}" for x, y in points)
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<polyline points="{joined}" fill="none" stroke="{stroke}" stroke-width="{width:g}"'
        f"{dashes}/>"
    )


def _at(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
