"""The verdict in words that anyone understands, and what was judged."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.evaluation.chronology import is_chronological
from pipeline.evaluation.report.facts import ReportFacts
from pipeline.evaluation.report.figures import GAP, count, day, decimal, minute, percent
from pipeline.evaluation.report.layout import figure, pairs, table
from pipeline.evaluation.report.markup import Content, Html, bare, join, tag
from pipeline.evaluation.report.standing import (
    LEAVE,
    LEAVE_WORSE,
    headline,
    of_heads,
    skill_between,
    standing_of,
)

SEPARATOR = " · "
WATCHED = "It may be watched; it must not decide."
PLAIN = {
    "promote": "It predicts better than knowing only how often each outcome happens, by more than "
    "luck explains. It may be put into service.",
    "observe": WATCHED,
    "undecidable": "There are too few independent rows to tell skill from luck. It may be "
    "watched; it must not decide.",
    "refuse": "It must not be put into service.",
}
NONE_DECIDES = "They must not decide."
BY_HEAD = ("Head", "Brier skill", "Accuracy", "Balanced accuracy", "Independent rows")
WORTH = (
    "Brier skill: 0 is knowing only the class shares. Independent rows: what the scored rows are "
    "worth, because neighbouring labels overlap."
)
KNEW = (
    "Its models were trained on later candles too: every figure here, and the money, says how well "
    "the method learns, not what it would have been worth at the time. It must not decide."
)


def verdict(facts: ReportFacts) -> Html:
    """The head of the page: title, verdict, what was judged, and the first figures."""
    kind = facts.verdict if facts.verdict in PLAIN else "unknown"
    return tag(
        "header",
        tag("p", "Report of a run", class_="eyebrow"),
        tag("h1", *_title(facts.title)),
        tag(
            "div",
            tag("p", facts.verdict, class_="badge"),
            tag("p", _plain(facts), class_="plain"),
            *_learned(facts),
            of_heads(facts),
            tag("p", "The gate says: ", facts.sentence, class_="note"),
            class_=f"verdict {kind}",
        ),
        *_meanings(facts),
        pairs(_judged(facts)),
        tag("div", *_tiles(facts), class_="tiles") if len(facts.heads) == 1 else _by_head(facts),
    )


def _plain(facts: ReportFacts) -> str:
    """How it stands and what becomes of it; that models knew later candles explains an observe."""
    ends = PLAIN.get(facts.verdict, facts.sentence)
    knew = not all(is_chronological(head["fits"]) for head in facts.training["heads"].values())
    if facts.verdict == "observe" and knew:
        ends = KNEW
    elif knew:
        ends = f"{ends} {KNEW}"
    if facts.verdict not in ("observe", "refuse"):
        return ends
    stands = headline(facts)
    if ends == WATCHED and stands.endswith(LEAVE_WORSE):
        return f"{stands} {NONE_DECIDES}"
    return stands if ends == WATCHED and stands.endswith(LEAVE) else f"{stands} {ends}"


def _learned(facts: ReportFacts) -> Iterator[Html]:
    same = [name for name in facts.heads if facts.head(name).constant]
    if same:
        of = f" of {', '.join(same)}" if len(facts.heads) > 1 else ""
        yield tag(
            "p",
            f"It learned nothing: whatever the candle, each fold's model{of} gives the same "
            "probabilities.",
            class_="plain",
        )


def _meanings(facts: ReportFacts) -> Iterator[Html]:
    """What is predicted, head by head: each class beside what it says of a candle."""
    for name, meanings in facts.meanings.items():
        classes = facts.head(name).classes
        said = (
            tag("li", tag("b", bare(key)), f": {text}".replace(" %", f"{GAP}%"))
            for key, text in zip(classes, meanings, strict=True)
        )
        head = join([" by ", bare(name)]) if len(facts.meanings) > 1 else None
        title = tag("p", "What is predicted", head, class_="name-of")
        yield tag("div", title, tag("ul", *said), class_="meanings")


def _title(title: str) -> Iterator[Content]:
    """The title, which breaks between its parts first."""
    for number, part in enumerate(title.split(SEPARATOR)):
        yield SEPARATOR if number else None
        yield tag("span", part)


def _judged(facts: ReportFacts) -> Iterator[tuple[str, Content]]:
    yield "As of", f"{minute(facts.as_of)} UTC"
    time = facts.candles.index.get_level_values("time")
    if len(time):
        span = f"{count(len(time))}, {day(time.min())} to {day(time.max())}"
        yield "Candles", span
    tested = [head.index.get_level_values("time") for head in facts.out_of_fold.values()]
    if tested:
        first, last = min(time.min() for time in tested), max(time.max() for time in tested)
        yield "Tested on", f"{day(first)} to {day(last)}, candles the model had not seen"


def _tiles(facts: ReportFacts) -> Iterator[Html]:
    flat = facts.flat
    shown = {
        "brier_skill": ("Brier skill", percent(flat.get("brier_skill"), signed=True)),
        "accuracy": ("Accuracy", percent(flat.get("accuracy"))),
        "balanced_accuracy": ("Balanced accuracy", percent(flat.get("balanced_accuracy"))),
        "effective_rows": ("Independent rows", decimal(flat.get("effective_rows"), 1)),
    }
    beside = {
        "brier_skill": "0 is knowing only the class shares",
        "accuracy": f"{percent(flat.get('majority_accuracy'))} by always naming the class "
        "most common in training",
        "balanced_accuracy": f"{percent(_chance(facts))} by chance",
        "effective_rows": f"what {count(flat.get('rows'))} scored rows are worth",
    }
    for name, (title, value) in shown.items():
        yield tag(
            "div",
            tag("p", title, class_="name-of"),
            tag("p", value, class_="value"),
            tag("p", beside[name], class_="note"),
            class_="tile",
        )


def _by_head(facts: ReportFacts) -> Html:
    """First figures of each head: a mean of unlike heads would say nothing."""
    rows: list[list[Content]] = [
        [
            bare(name),
            skill_between(standing_of(facts.head(name)).skill),
            percent(scores["accuracy"]),
            percent(scores["balanced_accuracy"]),
            f"{decimal(scores['effective_rows'], 1)} of {count(scores['rows'])}",
        ]
        for name, scores in ((name, facts.head(name).scores) for name in facts.heads)
    ]
    return figure(table(BY_HEAD, rows, "First figures of each head", "numbers"), caption=WORTH)


def _chance(facts: ReportFacts) -> float:
    (head,) = facts.heads.values()
    return 1 / max(sum(map(any, head["confusion"])), 1)
