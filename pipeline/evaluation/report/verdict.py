"""The verdict in words that anyone understands, and what was judged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pipeline.evaluation.chronology import is_chronological
from pipeline.evaluation.report.beside import comparisons
from pipeline.evaluation.report.facts import HeadFacts, ReportFacts
from pipeline.evaluation.report.figures import GAP, count, day, decimal, minute, percent, things
from pipeline.evaluation.report.layout import pairs
from pipeline.evaluation.report.markup import Content, Html, bare, join, tag

SEPARATOR = " · "
NAMED = {
    "brier_skill": "beyond the class shares",
    "skill_over_climatology": "beyond what the volatility alone tells",
    "direction_skill": "of the direction among moves",
}
PLAIN = {
    "promote": "It predicts better than knowing only how often each outcome happens, by more than "
    "luck explains. It may be put into service.",
    "observe": "It is not shown to know which way the price goes, or no better than by how often "
    "each outcome happens. It may be watched; it must not decide.",
    "undecidable": "There are too few independent rows to tell skill from luck. It may be "
    "watched; it must not decide.",
    "refuse": "It must not be put into service.",
}
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
            tag(
                "p",
                "Against its baselines: ",
                *against([facts.head(name) for name in facts.heads]),
                class_="against",
            ),
            tag("p", "The gate says: ", facts.sentence, class_="note"),
            class_=f"verdict {kind}",
        ),
        *_meanings(facts),
        pairs(_judged(facts)),
        tag("div", *_tiles(facts), class_="tiles"),
    )


def _plain(facts: ReportFacts) -> str:
    """What becomes of it; that models knew later candles explains an observe by itself."""
    heads = facts.training["heads"].values()
    said = PLAIN.get(facts.verdict, facts.sentence)
    if all(is_chronological(head["fits"]) for head in heads):
        return said
    return KNEW if facts.verdict == "observe" else f"{said} {KNEW}"


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


def against(heads: Sequence[HeadFacts]) -> Iterator[Content]:
    """Better, not better, or undecidable, by the skills that were named beforehand."""
    found = [each for head in heads for each in comparisons(head) if each.name in NAMED]
    seen = max(head.scores["detectable_skill"] for head in heads)
    if any(head.too_few for head in heads):
        yield tag("strong", "undecidable")
        yield ", because so few independent rows could only have shown a very large skill"
        yield f", a Brier skill of {percent(seen)} or more." if math.isfinite(seen) else "."
        return
    behind = [NAMED[name] for name in NAMED if name in {o.name for o in found if o.low <= 0}]
    if not behind and all(math.isfinite(each.low) for each in found):
        yield tag("strong", "better")
        yield ", by more than luck explains: its probabilities beat each of them."
        return
    yield tag("strong", "not better")
    yield f": what it seems to know {', or '.join(behind)}, may be luck or less."


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
    if len(facts.heads) > 1:
        yield "Figures below", f"mean of {things(len(facts.heads), 'head')}"


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


def _chance(facts: ReportFacts) -> float | None:
    shares = [1 / max(sum(map(any, each["confusion"])), 1) for each in facts.heads.values()]
    return sum(shares) / len(shares) if shares else None
