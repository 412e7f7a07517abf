"""What happened against what the model said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.evaluation.report.facts import HeadFacts
from pipeline.evaluation.report.figures import count, percent
from pipeline.evaluation.report.layout import Place, figure, lede, section, table
from pipeline.evaluation.report.markup import Content, Html, bare, join, tag

CLASSES = ("Class", "Happened", "Found", "Said", "Right")
FEW = 4
EACH = (
    "Found (recall): of the rows where a class happened, those in which it was named. Right "
    "(precision): of the rows where it was named, those in which it happened; naming it at random "
    "is right as often as it happens."
)


def mistakes(head: HeadFacts, place: Place) -> Html:
    """The confusion matrix, and precision and recall of each class."""
    return section(
        place,
        "mistakes",
        "Right and wrong",
        lede(*_finding(head)),
        tag(
            "div",
            figure(
                _matrix(head),
                caption="Rows: what happened. Columns: what the model named as most probable. "
                "Each row adds up to 100 %; the diagonal is right.",
            ),
            figure(
                table(CLASSES, _classes(head), "Precision and recall of each class", "numbers"),
                caption=EACH,
            ),
            class_="two",
        ),
    )


def _finding(head: HeadFacts) -> Iterator[Content]:
    judged = head.training["per_class"]
    rows = max(sum(each["rows"] for each in judged.values()), 1)
    said = [name for name in head.classes if judged[name]["precision"] is not None]
    shown = said if len(head.classes) <= FEW else []
    for number, name in enumerate(shown):
        yield "; " if number else "What it names comes true: "
        yield bare(name)
        yield f" in {percent(judged[name]['precision'], 0)} of cases"
        yield f" (it happens in {percent(judged[name]['rows'] / rows, 0)})"
    yield ". " if shown else None
    for name in head.classes:
        if name not in said:
            yield join([bare(name), " is never named. "])
    if head.constant:
        yield "Each fold's model names one class for every candle; columns differ as the folds do."


def _matrix(head: HeadFacts) -> Html:
    corner = join([tag("span", "happened ↓", class_="note"), tag("span", "said →", class_="note")])
    rows = [
        [bare(name), *(_cell(value, counts, k == at) for at, value in enumerate(counts))]
        for k, (name, counts) in enumerate(zip(head.classes, head.confusion, strict=True))
    ]
    header: list[Content] = [corner, *map(bare, head.classes)]
    return table(header, rows, "Rows by what happened and what was said", "matrix")


def _cell(value: int, counts: Sequence[int], right: bool) -> Html:
    part = value / max(sum(counts), 1)
    return tag(
        "div",
        tag("span", percent(part, 0), class_="figure"),
        tag("span", count(value), class_="note"),
        class_="cell right" if right else "cell",
        style=f"--part:{part:.3f}",
    )


def _classes(head: HeadFacts) -> Iterator[list[Content]]:
    rows = max(sum(map(sum, head.confusion)), 1)
    for k, name in enumerate(head.classes):
        judged = head.training["per_class"][name]
        said = sum(counts[k] for counts in head.confusion)
        yield [
            bare(name),
            f"{count(judged['rows'])} ({percent(judged['rows'] / rows, 0)})",
            percent(judged["recall"], 0),
            count(said),
            "never" if judged["precision"] is None else percent(judged["precision"], 0),
        ]
