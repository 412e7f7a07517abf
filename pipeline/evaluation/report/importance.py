"""What each column is worth to the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.evaluation.report.charts import Scale, share
from pipeline.evaluation.report.facts import Facts, HeadFacts
from pipeline.evaluation.report.figures import decimal, things
from pipeline.evaluation.report.layout import Place, details, figure, lede, section, stacking
from pipeline.evaluation.report.markup import Content, Html, bare, tag

HEADER = ("Column", "Increase of the log loss when exchanged", "Nats")
SHOWN = 15
ERRORS = 2.0
MEASURES = (
    "The values of one column are exchanged between out-of-fold rows of the same fold. The bar is "
    "how much worse the probabilities become by that, the stroke one standard error to either "
    "side. A bar is strong where it exceeds two errors. Columns that say nearly the same can stand "
    "in for each other and then both look unimportant."
)


def importance(head: HeadFacts, place: Place) -> Html:
    """Permutation importance of the columns, the most important first."""
    columns = head.training.get("importance") or []
    moved = [each for each in columns if each["increase"] or each["error"]]
    title = "What the columns are worth"
    if not moved:
        text = (
            "No column changes what the model says."
            if columns
            else "The importance of columns was not measured."
        )
        return section(place, "columns", title, lede(text))
    scale = _scale(moved)
    more = moved[SHOWN:]
    return section(
        place,
        "columns",
        title,
        lede(*_finding(moved)),
        figure(
            _table(moved[:SHOWN], scale),
            details(f"{things(len(more), 'more column')}", _table(more, scale)) if more else None,
            caption=MEASURES + _unused(len(columns) - len(moved)),
        ),
    )


def matters(each: Facts) -> bool:
    """Whether exchanging a column hurts by more than two standard errors.

    Examples
    --------
    >>> matters({"increase": 0.3, "error": 0.1}), matters({"increase": 0.3, "error": 0.2})
    (True, False)
    """
    return bool(each["increase"] > ERRORS * each["error"])


def _unused(number: int) -> str:
    if not number:
        return ""
    verb = "was" if number == 1 else "were"
    return (
        f" {things(number, 'column')} {verb} never used: exchanging the values changed nothing, so "
        "no bar is drawn."
    )


def _finding(columns: Sequence[Facts]) -> Iterator[Content]:
    strong = [each for each in columns if matters(each)]
    luck = round(len(columns) * 0.0228)
    if not strong:
        yield (
            "No column matters measurably: exchanging any one of them raises the log loss by no "
            "more than two standard errors."
        )
        return
    yield f"{len(strong)} of {things(len(columns), 'column')} "
    yield "matters" if len(strong) == 1 else "matter"
    yield " measurably, most of all "
    yield bare(str(strong[0]["column"]))
    yield "." if luck == 0 else f"; about {luck} would by luck alone."


def _scale(columns: Sequence[Facts]) -> Scale:
    low = min(each["increase"] - each["error"] for each in columns)
    high = max(each["increase"] + each["error"] for each in columns)
    low, high = min(low, 0.0), max(high, 0.0)
    return Scale(low, high if high > low else low + 1.0)


def _table(columns: Sequence[Facts], scale: Scale) -> Html:
    return stacking(HEADER, [_row(each, scale) for each in columns], "importance")


def _row(each: Facts, scale: Scale) -> list[Content]:
    increase, error = each["increase"], each["error"]
    text = f"{decimal(increase, 4, signed=True)} ± {decimal(error, 4)}"
    return [bare(str(each["column"])), _bar(each, scale, text), tag("span", text, class_="figure")]


def _bar(each: Facts, scale: Scale, text: str) -> Html:
    increase, error = each["increase"], each["error"]
    zero, end = scale.at(0.0), scale.at(increase)
    return tag(
        "svg",
        tag("title", text),
        tag(
            "rect",
            x=share(min(zero, end)),
            width=share(abs(end - zero)),
            y=5,
            height=12,
            class_="bar",
        ),
        tag("line", class_="zero", x1=share(zero), x2=share(zero), y1=0, y2=22),
        tag(
            "line",
            class_="error",
            x1=share(scale.at(increase - error)),
            x2=share(scale.at(increase + error)),
            y1=11,
            y2=11,
        ),
        class_="bars strong" if matters(each) else "bars",
        role="img",
        aria_label=text,
    )
