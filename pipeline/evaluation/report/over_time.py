"""Whether the scores hold from fold to fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.evaluation.report.calibration import FoldScore, Gain, fold_scores
from pipeline.evaluation.report.charts import (
    Scale,
    around,
    columns,
    decimals,
    levels,
    share,
    svg,
    ticks,
    time_ticks,
)
from pipeline.evaluation.report.facts import HeadFacts
from pipeline.evaluation.report.figures import count, decimal, minute, percent
from pipeline.evaluation.report.layout import Place, details, figure, grid, lede, section, table
from pipeline.evaluation.report.markup import Html, tag

HEADER = ("Fold", "First", "Last", "Rows", "Accuracy", "Beside baseline", "Log loss", "Saved")
HEIGHT = 200
CAPTION = (
    "Each bar is the test of one fold, over its span of time; above 0 is better. The shade is what "
    "luck leaves at 90 % confidence. Saved: how much smaller the log "
    "loss is than that of the class shares."
)


@dataclass(frozen=True, slots=True)
class Measure:
    """What is drawn of each fold."""

    title: str
    unit: str
    factor: float
    digits: int
    gain: Callable[[FoldScore], Gain]

    def text(self, fold: FoldScore) -> str:
        """The fold's gain."""
        return decimal(self.factor * self.gain(fold).mean, self.digits, signed=True)

    def ends(self, fold: FoldScore) -> tuple[float, float]:
        """Lower and upper end of the interval of the fold's gain."""
        gain = self.gain(fold)
        return self.factor * (gain.mean - gain.reach), self.factor * (gain.mean + gain.reach)


ACCURACY = Measure(
    "Accuracy above the baseline", "percentage points", 100.0, 1, lambda fold: fold.accuracy_gain
)
LOG_LOSS = Measure("Log loss saved", "nats for each row", 1.0, 3, lambda fold: fold.log_loss_gain)


def over_time(head: HeadFacts, place: Place) -> Html:
    """Gain of each fold over its baseline."""
    folds = fold_scores(head)
    return section(
        place,
        "over-time",
        "From fold to fold",
        lede(_finding(folds)),
        figure(
            grid((_chart(folds, measure) for measure in (ACCURACY, LOG_LOSS)), "half"),
            details("The figures", table(HEADER, _rows(folds), "Scores of each fold", "numbers")),
            caption=CAPTION,
        ),
    )


def _finding(folds: Sequence[FoldScore]) -> str:
    if len(folds) == 1:
        return "There is one fold only, so nothing can be said of how the scores change over time."
    saved = sum(fold.log_loss_gain.mean > 0 for fold in folds)
    right = sum(fold.accuracy_gain.mean > 0 for fold in folds)
    return (
        f"It was right more often than the baseline in {right} of {len(folds)} folds, and its "
        f"probabilities were better than the class shares in {saved}."
    )


def _chart(folds: Sequence[FoldScore], measure: Measure) -> Html:
    first, last = folds[0].first, max(fold.last for fold in folds)
    time = Scale(first.timestamp(), max(last.timestamp(), first.timestamp() + 1))
    scale = around([0.0, *(end for fold in folds for end in measure.ends(fold))])
    values = ticks(scale, 6)
    texts = [decimal(value, decimals(values), signed=True) for value in values]
    marks = time_ticks(first, last, 4)
    zero = share(1 - scale.at(0.0))
    description = ", ".join(f"{fold.name} {measure.text(fold)}" for fold in folds)
    return tag(
        "div",
        tag(
            "p",
            measure.title,
            tag("span", f", {measure.unit}", class_="note"),
            class_="chart-title",
        ),
        svg(
            f"{measure.title}, {measure.unit}: {description}",
            levels(scale, values, texts),
            tag("line", class_="zero", x1=0, x2="100%", y1=zero, y2=zero),
            *(_bar(fold, measure, time, scale) for fold in folds),
            columns([time.at(at.timestamp()) for at, _ in marks], [name for _, name in marks]),
            height=HEIGHT,
        ),
    )


def _bar(fold: FoldScore, measure: Measure, time: Scale, scale: Scale) -> Html:
    left, right = time.at(fold.first.timestamp()), time.at(fold.last.timestamp())
    low, high = measure.ends(fold)
    y = share(1 - scale.at((low + high) / 2))
    kind = "better" if low > 0 else "worse" if high < 0 else "open"
    shade = tag(
        "rect",
        x=share(left),
        y=share(1 - scale.at(high)),
        width=share(right - left),
        height=share(scale.at(high) - scale.at(low)),
        class_="shade",
    )
    level = tag("line", x1=share(left), x2=share(right), y1=y, y2=y, class_="level")
    description = tag("title", f"{fold.name}: {measure.text(fold)}")
    return tag("g", description, shade, level, class_=kind)


def _rows(folds: Sequence[FoldScore]) -> Iterator[list[str]]:
    for fold in folds:
        yield [
            fold.name,
            minute(fold.first),
            minute(fold.last),
            count(fold.rows),
            percent(fold.accuracy),
            ACCURACY.text(fold),
            decimal(fold.log_loss),
            LOG_LOSS.text(fold),
        ]
