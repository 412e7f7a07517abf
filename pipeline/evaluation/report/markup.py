"""HTML and SVG elements. Every text that is not markup already is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

Attribute = str | float | None
Content = str | None
VOID = frozenset({"meta", "link", "br"})
SHAPES = frozenset({"line", "rect", "circle", "path"})
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def escape(text: str) -> Html:
    """Text as markup; characters that cannot be shown, or turn the line around, are replaced.

    Examples
    --------
    >>> escape("<b>")
    '&lt;b&gt;'
    >>> escape(Html("<b>"))
    '<b>'
    """
    if isinstance(text, Html):
        return text
    return Html(html.escape(UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)))


def join(parts: Iterable[Content]) -> Html:
    """Parts behind one another; None is left out."""
    return Html("".join(escape(part) for part in parts if part is not None))


def tag(name: str, /, *children: Content, **attributes: Attribute) -> Html:
    """One element.

    Parameters
    ----------
    children
        Markup, text that will be escaped, or None.
    attributes
        ``class_`` is class, ``aria_label`` is aria-label; None is left out.

    Examples
    --------
    >>> tag("p", "1 < 2", class_="note")
    '<p class="note">1 &lt; 2</p>'
    >>> tag("line", x1=0.5, y1=None)
    '<line x1="0.5"/>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Html(f"<{name}{written}>")
    inner = join(children)
    if name in SHAPES and not inner:
        return Html(f"<{name}{written}/>")
    return Html(f"<{name}{written}>{inner}</{name}>")


def bare(name: str) -> Html:
    """A name that somebody chose: kept apart from the writing direction around it."""
    return tag("bdi", name, class_="name")


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{round(float(value), 2):g}"
