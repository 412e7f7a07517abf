"""A simulation as one page that loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.evaluation.report.figures import NOTHING, count, day, minute, percent, things
from pipeline.evaluation.report.glossary import WORDS
from pipeline.evaluation.report.layout import Place, details, figure, pairs, section, table
from pipeline.evaluation.report.markup import Content, Html, bare, tag
from pipeline.evaluation.report.page_head import page_head
from pipeline.experiments.simulate import drawings
from pipeline.experiments.simulate.figures import Simulated
from pipeline.experiments.simulate.page_parts import age, money
from pipeline.experiments.simulate.policies import ALLOWED
from pipeline.experiments.simulate.rivals import MONEY, Rival

NO_TRADE = "nothing was traded"
NEWEST = 12  # turns that are shown at once
KINDS = {"better": "better", "worse": "worse", "undecidable": "open", "the same": "open"}
SIGNS = {"better": "▲", "worse": "▼", "undecidable": "≈", "the same": "="}
OWN_STYLE = """
.verdicts{margin-top:20px;display:grid;gap:14px;max-width:78ch}
.verdicts .card{margin:0}
.verdicts .words{display:flex;flex-wrap:wrap;gap:4px 20px;margin-bottom:6px}
.turns td:last-child{max-width:60ch;white-space:normal;text-align:left}
"""
WORDS_HERE = {
    "Turn": "One scheduled moment: a retrain on the candles known then, the gate's word on it, and "
    "the candles until the next, which the model in service predicts.",
    "Age": "Time since the model was made. A model of 0 to 7 days is the newest of a weekly "
    "schedule.",
    "Better, worse, undecidable": "Where the whole 90 % interval of the paired daily differences "
    "lies on one side of 0, and otherwise undecidable. Of equal policies one in ten is called "
    "unequal.",
}
SHARED = ("Class shares", "Log loss", "Observe", "Sharpe", "Refit")


def render(found: Simulated) -> str:
    """One self-contained page, without script and without any request; equal facts, equal text."""
    facts = found.facts()
    body = tag("body", tag("main", *_sections(found, facts)), _foot())
    head = page_head(f"Simulated: {facts['slot']}", drawings.STYLE + OWN_STYLE)
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _sections(found: Simulated, facts: dict[str, Any]) -> Iterator[Html]:
    yield _verdict(found, facts)
    yield _rivals(found)
    yield money(found, facts)
    yield age(found)
    yield _turns(facts)
    yield section(Place(), "words", "Words", tag("div", pairs(_words()), class_="glossary"))


def _verdict(found: Simulated, facts: dict[str, Any]) -> Html:
    first = found.rivals[0]
    word = _headline(found)
    kind = {"better": "promote", "worse": "refuse"}.get(word, "undecidable")
    card = tag(
        "section",
        tag("span", f"money: {word}" if found.traded else NO_TRADE, class_="badge"),
        tag("p", found.verdict, class_="plain"),
        tag("p", f"{first.sentence} ", _allowed(found, facts), class_="note"),
        class_=f"verdict {kind}",
        aria_label="What retraining was worth",
    )
    told = [
        ("From", minute(facts["from"])),
        ("To", minute(facts["to"])),
        ("Retrained every", found.every),
        ("Turns", count(len(facts["turns"]))),
        ("Promoted", count(_counted(facts, "promote"))),
        ("Observed", count(_counted(facts, "observe"))),
        ("Refused", count(_counted(facts, "refuse"))),
        ("Without a model", count(_counted(facts, "failed"))),
    ]
    return tag(
        "header",
        tag("p", "A schedule, simulated", class_="eyebrow"),
        tag("h1", bare(found.slot)),
        card,
        pairs(told),
    )


def _headline(found: Simulated) -> str:
    """What it came to in money, against never retraining and against staying out."""
    words = [each.words[MONEY] for each in (found.rivals[0], found.rivals[-1])]
    return next((word for word in ("worse", "better", "undecidable") if word in words), words[0])


def _counted(facts: dict[str, Any], outcome: str) -> int:
    return sum(turn["outcome"] == outcome for turn in facts["turns"])


def _allowed(found: Simulated, facts: dict[str, Any]) -> str:
    turns = things(len(facts["turns"]), "turn")
    if not found.allowed_turns:
        return (
            f"In none of {turns} did the gate let the model in service trade: in service, nothing "
            "would have been traded."
        )
    came = percent(facts["policies"][ALLOWED].get("return"), 2, signed=True)
    return (
        f"In {count(found.allowed_turns)} of {turns} the gate let the model in service trade; "
        f"these alone came to {came}."
    )


def _rivals(found: Simulated) -> Html:
    cards = (
        tag(
            "div",
            tag("p", *_badges(each), class_="words"),
            tag("p", each.sentence),
            class_="card",
        )
        for each in found.rivals
    )
    return section(
        Place(),
        "rivals",
        "Retraining with the gate, against each other way",
        tag("div", *cards, class_="verdicts"),
    )


def _badges(each: Rival) -> Iterator[Html]:
    for name, word in each.words.items():
        yield tag("span", f"{SIGNS[word]} {name} {word}", class_=f"word {KINDS[word]}")


def _turns(facts: dict[str, Any]) -> Html:
    header = ("As of", "Candidate", "Gate", "Serves", "Mode", "Candles")
    rows = [
        [
            minute(turn["as_of"]),
            turn["version"],
            turn["outcome"],
            turn["champion"] or NOTHING,
            turn["mode"] or NOTHING,
            count(turn["candles"]),
        ]
        for turn in facts["turns"]
    ]
    whole = table(header, rows, "All turns", "numbers")
    said = [[day(turn["as_of"]), turn["sentence"]] for turn in facts["turns"]]
    return section(
        Place(),
        "turns",
        "Turn by turn",
        figure(
            table(header, rows[-NEWEST:], "The newest turns", "numbers"),
            details(f"All {things(len(rows), 'turn')}", whole) if len(rows) > NEWEST else None,
            details("What the gate said", table(("As of", "Sentence"), said, "Verdicts")),
        ),
    )


def _words() -> Iterator[tuple[Content, Content]]:
    yield from WORDS_HERE.items()
    yield from ((name, WORDS[name]) for name in SHARED)


def _foot() -> Html:
    text = "Moments are open times of candles, in UTC. What was simulated is no record of trades."
    return tag("footer", tag("p", text))
