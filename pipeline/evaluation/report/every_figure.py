"""Every figure of a head beside every baseline, with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.evaluation.baselines import CLIMATOLOGY, HAR, MAJORITY, PERSISTENCE
from pipeline.evaluation.report.beside import COIN
from pipeline.evaluation.report.facts import Facts, HeadFacts
from pipeline.evaluation.report.figures import NOTHING, decimal, percent
from pipeline.evaluation.report.layout import Place, details, figure, lede, section, table
from pipeline.evaluation.report.markup import Content, Html, bare, join

NAMES = {
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "log_loss": "Log loss",
    "brier_skill": "Brier skill over the class shares",
    "skill_over_climatology": "Brier skill over volatility",
    "calibration_error": "Calibration error (ECE)",
    "auc": "AUC, mean of the classes",
    "average_precision": "Average precision, mean of the classes",
    "information_coefficient": "Information coefficient",
    "direction_auc": "Direction AUC, among rows that moved",
    "direction_skill": "Direction skill, among rows that moved",
}
OF_CLASS = {
    "precision": "Precision",
    "recall": "Recall",
    "auc": "AUC",
    "average_precision": "Average precision",
    "precision_at_k": "Precision@K",
    "recall_at_k": "Recall@K",
}
OTHERS = {
    MAJORITY: "Class shares",
    PERSISTENCE: "Last outcome",
    CLIMATOLOGY: "Volatility",
    HAR: "HAR",
}
SIGNED = frozenset({"brier_skill", "skill_over_climatology", "direction_skill"})
DECIMALS = frozenset({"log_loss", "information_coefficient"})
CAPTION = (
    "90 %: the interval that luck leaves (block bootstrap). Class shares: always those of the "
    "training rows; they rank no row above another, so their AUC is 50 % and their average "
    "precision and precision@K are how often the class happened. Last outcome: what is known to "
    "have happened last goes on. Volatility: the class shares where the market moved as much as in "
    "the last day; HAR: as much as a regression on the last day, week and month expects. "
)
OF_CLASSES = (
    "K is how many rows the class was expected in: those with its highest probabilities are taken. "
    "Last outcome names one class for sure, so it has no log loss."
)


def every_figure(head: HeadFacts, place: Place) -> Html:
    """Figures of the head as a whole, and of each class."""
    whole = {title: head.metrics[name] for name, title in NAMES.items() if name in head.metrics}
    keys = {title: name for name, title in NAMES.items()}
    blind = unranked(head)
    rows = [
        _row(bare(title), keys[title], _with(told, blind.get(keys[title])))
        for title, told in whole.items()
    ]
    header = _header(head.metrics)
    return section(
        place,
        "every",
        "Every figure beside every baseline",
        lede(f"{_seen(head)}{_calibrated(head.metrics)}"),
        figure(
            table(header, rows, "Every figure", "numbers every"),
            details("By class", table(header, _of_classes(head), "By class", "numbers every")),
            caption=CAPTION + OF_CLASSES,
        ),
    )


def shown(name: str, value: float | None) -> str:
    """A figure as the page writes it.

    Examples
    --------
    >>> shown("information_coefficient", 0.0312)
    '0.031'
    """
    if value is None:
        return NOTHING
    return decimal(value) if name in DECIMALS else percent(value, signed=name in SIGNED)


def reach(name: str, told: Mapping[str, Any]) -> str:
    """The interval of a figure; that of a share as far as there are shares.

    Examples
    --------
    >>> reach("log_loss", {"low": 0.9, "high": 1.2})
    '0.900 to 1.200'
    """
    ends = told["low"], told["high"]
    if None in ends:
        return NOTHING
    if name not in SIGNED | DECIMALS:
        ends = max(ends[0], 0.0), min(ends[1], 1.0)
    return " to ".join(shown(name, end) for end in ends)


def unranked(head: HeadFacts) -> dict[str, float]:
    """What class shares reach in the figures that rest on order: they put no row first.

    That the shares differ from fold to fold is no ranking of rows, so these are not the figures of
    the shares over all folds.
    """
    size = len(head.classes)
    happened = np.bincount(head.happened, minlength=size) / max(len(head.happened), 1)
    expected = head.base.mean(axis=0)
    found = {
        "auc": COIN,
        "direction_auc": COIN,
        "information_coefficient": 0.0,
        "average_precision": 1 / max(int((happened > 0).sum()), 1),
    }
    for k, name in enumerate(head.classes):
        rates = dict.fromkeys(("average_precision", "precision_at_k"), float(happened[k]))
        each = {"auc": COIN, **rates, "recall_at_k": float(expected[k])}
        found |= {f"{figure}_{name}": value for figure, value in each.items()}
    return found


def _with(told: Mapping[str, Any], blind: float | None) -> Mapping[str, Any]:
    if blind is None or told["value"] is None:
        return told
    return {**told, "baselines": {**told["baselines"], MAJORITY: blind}}


def _seen(head: HeadFacts) -> str:
    effective, smallest = head.scores["effective_rows"], head.scores["detectable_skill"]
    rows = f"The rows are worth {decimal(effective, 1)} independent ones"
    if not math.isfinite(smallest):
        return f"{rows}: too few to tell what they could show."
    return (
        f"{rows}: enough to show a Brier skill of {percent(smallest)} or more in four of five "
        "such tests; a smaller one would mostly stay unseen."
    )


def _calibrated(metrics: Facts) -> str:
    """The calibration error beside what luck alone makes of it."""
    told = metrics.get("calibration_error", {})
    if "perfect" not in told:
        return ""
    low, high = (percent(told["perfect"][end]) for end in ("low", "high"))
    found = percent(told["value"])
    return f" The calibration error is {found}; a perfect forecaster shows {low} to {high} on them."


def _header(metrics: Facts) -> tuple[str, ...]:
    spread = ("Over paths",) if _has_paths(metrics) else ()
    return ("Figure", "Model", "90 %", *spread, *OTHERS.values())


def _has_paths(metrics: Facts) -> bool:
    return any("spread" in told for told in metrics.values())


def _row(title: Content, name: str, told: Mapping[str, Any]) -> list[Content]:
    cells: list[Content] = [title, shown(name, told["value"]), reach(name, told)]
    if "spread" in told:
        ends = dict(zip(("low", "high"), told["spread"] or (None, None), strict=True))
        cells.append(reach(name, ends))
    return [*cells, *(shown(name, told["baselines"].get(other)) for other in OTHERS)]


def _of_classes(head: HeadFacts) -> Iterator[Sequence[Content]]:
    blind = unranked(head)
    for each in head.classes:
        for name, title in OF_CLASS.items():
            if told := head.metrics.get(key := f"{name}_{each}"):
                row = _with(told, blind.get(key))
                yield _row(join([f"{title} of ", bare(each)]), name, row)
