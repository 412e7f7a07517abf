"""Reading a page as a tree of elements; what is not well formed fails."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from html.parser import HTMLParser

SHAPES = {"line", "rect", "circle", "path"}
VOID = {"meta", "link", "br"}


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    content: list[Element | str] = field(default_factory=list)

    @property
    def inside(self) -> list[Element]:
        return [each for each in self.content if isinstance(each, Element)]

    def walk(self) -> list[Element]:
        return [self, *itertools.chain.from_iterable(each.walk() for each in self.inside)]

    def all(self, name: str, kind: str = "") -> list[Element]:
        named = [each for each in self.walk() if each.name == name]
        return [each for each in named if set(kind.split()) <= set(each.kinds)]

    @property
    def kinds(self) -> list[str]:
        return self.attributes.get("class", "").split()

    @property
    def text(self) -> str:
        return " ".join(self._text().split())

    def _text(self) -> str:
        return "".join(each if isinstance(each, str) else each._text() for each in self.content)


class Reader(HTMLParser):
    """Elements of a page; anything that is not closed, or closed twice, fails."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {key: value or "" for key, value in attrs})
        self.open[-1].content.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SHAPES, "HTML would leave it open"
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].content.append(data)


def parse(markup: str) -> Element:
    """The tree of a page, or of a piece of one."""
    reader = Reader()
    reader.feed(markup)
    reader.close()
    assert len(reader.open) == 1, "an element is not closed"
    return reader.open[0]
