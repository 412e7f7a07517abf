"""Facts become one page."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.evaluation.pooled_trading import PooledTrading
from pipeline.evaluation.report.dealt import dealt
from pipeline.evaluation.report.every_figure import every_figure
from pipeline.evaluation.report.facts import HeadFacts, ReportFacts
from pipeline.evaluation.report.fold_map import fold_map
from pipeline.evaluation.report.glossary import glossary
from pipeline.evaluation.report.importance import importance
from pipeline.evaluation.report.layout import Place
from pipeline.evaluation.report.learning import learning
from pipeline.evaluation.report.markup import Html, bare, join, tag
from pipeline.evaluation.report.members_money import members_money
from pipeline.evaluation.report.mistakes import mistakes
from pipeline.evaluation.report.money import money
from pipeline.evaluation.report.over_time import over_time
from pipeline.evaluation.report.page_head import page_head
from pipeline.evaluation.report.parts import parts
from pipeline.evaluation.report.quality import quality
from pipeline.evaluation.report.scores import scores
from pipeline.evaluation.report.standing import against
from pipeline.evaluation.report.trained import trained
from pipeline.evaluation.report.trust import trust
from pipeline.evaluation.report.verdict import verdict
from pipeline.evaluation.trading import Trading

LINKS = {
    "scores": "Scores",
    "every": "Every figure",
    "mistakes": "Right and wrong",
    "when": "Regime and month",
    "over-time": "From fold to fold",
    "trust": "Probabilities",
    "folds": "Folds",
    "learning": "Learning",
    "columns": "Columns",
    "training": "Training",
}
FIRST = {"money": "After costs"}
DEALT = {"trades": "Trades"}
COMMON = {"data": "Candles", "words": "Words"}


def render(facts: ReportFacts) -> str:
    """One self-contained page, without script and without any request.

    Equal facts give equal text.
    """
    page = tag(
        "html",
        page_head(f"{facts.verdict}: {facts.title}"),
        tag("body", tag("main", verdict(facts), _links(facts), *_sections(facts)), _foot()),
        lang="en",
    )
    return f"<!doctype html>\n{page}\n"


def _links(facts: ReportFacts) -> Html:
    trading = facts.trading
    dealt_here = isinstance(trading, Trading) and len(trading.trades()) > 0
    leading = FIRST | (DEALT if dealt_here else {})
    places = [(f"#{anchor}", tag("span", title)) for anchor, title in leading.items()]
    if len(facts.heads) == 1:
        places += [(f"#{anchor}", tag("span", title)) for anchor, title in LINKS.items()]
    else:
        places += [(f"#head-{k}", bare(name)) for k, name in enumerate(facts.heads)]
    places += [(f"#{anchor}", tag("span", title)) for anchor, title in COMMON.items()]
    items = (tag("li", tag("a", text, href=anchor)) for anchor, text in places)
    return tag("nav", tag("ul", *items), aria_label="On this page")


def _sections(facts: ReportFacts) -> Iterator[Html]:
    if isinstance(facts.trading, PooledTrading):
        yield members_money(facts.trading, Place())
    else:
        yield money(facts.trading, Place())
        yield join([dealt(facts.trading, facts.candles, Place())])
    for number, name in enumerate(facts.heads):
        head = facts.head(name)
        if len(facts.heads) == 1:
            yield _of_head(head, facts, Place())
        else:
            title = tag("h2", "Head ", bare(name), id=f"head-{number}", class_="head")
            parts = _of_head(head, facts, Place(3, f"-{number}"))
            yield tag("section", title, parts, aria_labelledby=f"head-{number}", class_="of-head")
    yield quality(facts.quality, Place())
    yield glossary(Place())


def _of_head(head: HeadFacts, facts: ReportFacts, place: Place) -> Html:
    return join(
        [
            _judged(head, facts),
            scores(head, place),
            every_figure(head, place),
            mistakes(head, place),
            parts(head, place),
            over_time(head, place),
            trust(head, place),
            fold_map(head, facts.candles, place),
            learning(head, place),
            importance(head, place),
            trained(head, facts.training.get("libraries", {}), place),
        ]
    )


def _judged(head: HeadFacts, facts: ReportFacts) -> Html | None:
    """The head's own verdict, where there are others beside it."""
    if len(facts.heads) == 1:
        return None
    return against(head)


def _foot() -> Html:
    return tag("footer", tag("p", "Moments are open times of candles, in UTC."))
