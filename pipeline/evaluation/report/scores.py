"""Scores beside their baselines."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from pipeline.evaluation.report.beside import (
    LOWER_IS_BETTER,
    Comparison,
    Word,
    compared,
    comparisons,
)
from pipeline.evaluation.report.charts import Scale, share
from pipeline.evaluation.report.facts import HeadFacts
from pipeline.evaluation.report.figures import count, decimal, percent, things
from pipeline.evaluation.report.layout import Place, figure, lede, section, stacking
from pipeline.evaluation.report.markup import Content, Html, join, tag

HEADER = ("Score", "Model", "Baseline", "Beside each other", "By itself")
NAMES = {
    "brier_skill": (
        "Brier skill",
        "how much nearer the probabilities come to what happened",
        "knowing only the class shares",
    ),
    "skill_over_climatology": (
        "Skill over volatility",
        "the same, beyond what the volatility alone tells",
        "the class shares at the volatility of the time",
    ),
    "accuracy": (
        "Accuracy",
        "rows whose most probable class happened",
        "always naming the class most common in training",
    ),
    "balanced_accuracy": (
        "Balanced accuracy",
        "accuracy, every class counting alike",
        "chance",
    ),
    "log_loss": (
        "Log loss",
        "surprise for each row, in nats; lower is better",
        "the class shares",
    ),
    "average_precision": (
        "Average precision",
        "how well each class is ranked above the others",
        "naming no order: how often a class happened, mean of the classes",
    ),
    "direction_skill": (
        "Direction skill",
        "Brier skill of up against down, among rows that moved",
        "knowing only the class shares",
    ),
    "direction_auc": (
        "Direction AUC",
        "how often a rise is ranked above a fall",
        "a coin",
    ),
}
SKILLS = frozenset({"brier_skill", "skill_over_climatology", "direction_skill"})
KINDS: dict[Word, str] = {"better": "better", "worse": "worse", "cannot tell": "open"}
SIGNS: dict[Word, str] = {
    "better": "▲ looks better",
    "worse": "▼ looks worse",
    "cannot tell": "≈ cannot tell",
}
NO_PROOF = "Among many figures some do by luck: these are hints, the verdict at the top is not."
ROOM = 1.2


def scores(head: HeadFacts, place: Place) -> Html:
    """Each score beside its baseline, with what their difference is worth."""
    found = comparisons(head)
    return section(
        place,
        "scores",
        "Scores beside baselines",
        lede(_finding(found)),
        tag("p", _rows(head), _seen(head)),
        figure(
            stacking(HEADER, [_row(each) for each in found], "scores"),
            caption="Dot: the model, with the interval that luck leaves at 90 % confidence (block "
            "bootstrap). Upright stroke: the baseline. A score looks better or worse "
            "where its own interval leaves the baseline out; luck alone does that to about one "
            "score in ten. The verdict at the top rests on skills that were named beforehand.",
        ),
    )


def _finding(found: Sequence[Comparison]) -> str:
    counts = Counter(each.word for each in found)
    if counts["cannot tell"] == len(found):
        return f"None of the {len(found)} scores can be told apart from its baseline."
    if len(counts) == 1:
        return f"All {len(found)} scores look {found[0].word} than their baselines. {NO_PROOF}"
    kept = [
        f"{counts[word]} {'looks' if counts[word] == 1 else 'look'} {word}"
        for word in ("better", "worse")
        if counts[word]
    ]
    if counts["cannot tell"]:
        kept.append(f"{counts['cannot tell']} cannot be told apart")
    return f"Of {len(found)} scores beside their baselines, {' and '.join(kept)}. {NO_PROOF}"


def _rows(head: HeadFacts) -> Html:
    effective = head.scores["effective_rows"]
    return join(
        [
            f"{things(head.scores['rows'], 'row')} predicted out of fold. Labels that look ahead "
            "overlap, so neighbouring rows tell nearly the same: together they are worth ",
            tag("strong", f"{decimal(effective, 1)} independent rows"),
            ".",
        ]
    )


def _seen(head: HeadFacts) -> str | None:
    """What so many rows could have shown, where they do not show better or worse."""
    skill = compared("brier_skill", head.metrics["brier_skill"], 0.0, head.too_few)
    smallest = head.scores["detectable_skill"]
    if skill.word != "cannot tell" or not math.isfinite(smallest):
        return None
    return (
        f" So few show skill reliably (in four of five such tests) only where the Brier skill is "
        f"{percent(smallest)} or more: a smaller one may be there unseen."
    )


def _row(each: Comparison) -> list[Content]:
    title, about, baseline = NAMES[each.name]
    sign, _, words = SIGNS[each.word].partition(" ")
    return [
        join([tag("span", title, class_="score"), tag("span", about, class_="note")]),
        tag("span", _figure(each, each.value), class_="figure"),
        join(
            [
                tag("span", _figure(each, each.baseline), class_="figure quiet"),
                tag("span", baseline, class_="note"),
            ]
        ),
        track(each, _scale(each)),
        tag(
            "span",
            tag("span", sign, aria_hidden="true"),
            f" {words}",
            class_=f"word {KINDS[each.word]}",
        ),
    ]


def _figure(each: Comparison, value: float) -> str:
    if each.name == "log_loss":
        return decimal(value)
    if each.name in SKILLS and value == 0:
        return count(0)
    return percent(value, signed=each.name in SKILLS)


def track(each: Comparison, scale: Scale) -> Html | None:
    """One score on a rail: a dot with its interval, and a stroke where its baseline is."""
    ends = _ends(each)
    if not all(map(math.isfinite, [each.value, each.baseline, *ends])):
        return None
    places = {
        "value": scale.at(each.value),
        "base": scale.at(each.baseline),
        "low": max(scale.at(min(ends)), 0.0),
        "high": min(scale.at(max(ends)), 1.0),
    }
    description = f"model {_figure(each, each.value)}, baseline {_figure(each, each.baseline)}"
    return tag(
        "svg",
        tag("title", description),
        tag("line", class_="rail", x1=0, x2="100%", y1=16, y2=16),
        tag(
            "line", class_="reach", x1=share(places["low"]), x2=share(places["high"]), y1=16, y2=16
        ),
        tag("line", class_="base", x1=share(places["base"]), x2=share(places["base"]), y1=6, y2=26),
        tag("circle", class_="model", cx=share(places["value"]), cy=16, r=5.5),
        class_=f"track {KINDS[each.word]}",
        role="img",
        aria_label=description,
    )


def _ends(each: Comparison) -> list[float]:
    sign = -1 if each.name in LOWER_IS_BETTER else 1
    return [each.baseline + sign * each.low, each.baseline + sign * each.high]


def _scale(each: Comparison) -> Scale:
    ends = _ends(each)
    if each.name in SKILLS:
        reach = ROOM * max(map(abs, [each.value, *ends, 0.01]))
        return Scale(-reach, reach)
    if each.name == "log_loss":
        return Scale(0.0, ROOM * max(each.value, each.baseline, *ends))
    return Scale(0.0, 1.0)
