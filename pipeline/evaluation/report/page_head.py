"""The head of a page that loads nothing."""

from __future__ import annotations

from pipeline.evaluation.report.markup import Html, tag
from pipeline.evaluation.report.style import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page_head(title: str, style: str = "") -> Html:
    """Title and styles of a page, those of every report first; it may request nothing."""
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", Html(STYLE + style)),
    )
