"""What a retrain tells of its scores: one head in sentences, several in a table, each by itself."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from pipeline.commands.console import WIDTH, table
from pipeline.evaluation.comparison import OutOfFold
from pipeline.operations.retraining.candidate import Candidate

HEADER = ("head", "rows", "worth", "accuracy", "majority", "balanced", "chance", "skill")
LEGEND = (
    "worth: independent rows, as labels overlap; majority: accuracy of always naming the class "
    "most common in training; chance: 1 / classes that came; skill: of the Brier score, 0 is "
    "knowing only the class shares"
)


def score_lines(candidate: Candidate) -> list[str]:
    """The scores of every head; classes of different heads are not averaged into one figure."""
    return _alone(candidate) if len(candidate.out_of_fold) == 1 else _together(candidate)


def chance(head: OutOfFold) -> float:
    """Balanced accuracy of guessing: 1 / the classes that came, as those alone are averaged."""
    return 1 / len(_came(head))


def _alone(candidate: Candidate) -> list[str]:
    (head,) = candidate.out_of_fold.values()
    (scores,) = candidate.scores.values()
    missing = [name for name in head.classes if name not in _came(head)]
    without = f" ({' and '.join(missing)} never came)" if missing else ""
    return [
        f"  scored    {scores['rows']:.0f} out-of-fold rows, worth "
        f"{scores['effective_rows']:.4g} independent ones (labels overlap)",
        f"  accuracy  {scores['accuracy']:.3f}, beside {scores['majority_accuracy']:.3f} for "
        "always naming the class most common in training",
        f"  balanced  {scores['balanced_accuracy']:.3f}, beside {chance(head):.3f} by chance"
        f"{without}",
        f"  skill     {scores['brier_skill']:+z.3f} of the Brier score; 0 is knowing only the "
        "class shares",
    ]


def _together(candidate: Candidate) -> list[str]:
    heads = candidate.out_of_fold
    rows = [_row(name, candidate.scores[name], head) for name, head in heads.items()]
    lines = table(HEADER, rows).splitlines()
    legend = textwrap.fill(LEGEND, WIDTH, initial_indent="  ", subsequent_indent="  ")
    title = f"  scored    {len(heads)} heads, each by itself on its out-of-fold rows"
    return [title, "", *(f"  {line}" for line in lines), "", legend]


def _row(name: str, scores: Mapping[str, float], head: OutOfFold) -> list[Any]:
    names = ("accuracy", "majority_accuracy", "balanced_accuracy")
    shares = [f"{scores[each]:.3f}" for each in names]
    skill = f"{scores['brier_skill']:+z.3f}"
    rows, worth = round(scores["rows"]), scores["effective_rows"]
    return [name, rows, worth, *shares, f"{chance(head):.3f}", skill]


def _came(head: OutOfFold) -> tuple[str, ...]:
    labels = set(head.frame["label"])
    return tuple(name for place, name in enumerate(head.classes) if place in labels)
