"""What two versions scored on the rows that both predicted out of fold."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.evaluation.comparison import OutOfFold
from pipeline.evaluation.effective import skill
from pipeline.evaluation.measures import brier
from pipeline.evaluation.metrics import log_loss, probabilities


@dataclass(frozen=True, slots=True)
class Scored:
    """Mean log loss in nats, and the Brier skill over class shares that are the same for both."""

    log_loss: float
    brier_skill: float


def side_by_side(ours: OutOfFold, theirs: OutOfFold) -> tuple[Scored, Scored] | None:
    """Both on their common rows whose outcome they tell alike; None where there is no such row.

    The class shares are those of the training rows of `theirs`: of two bases, one has to serve
    for both, or the skills are of different things.
    """
    common = ours.frame.index.intersection(theirs.frame.index).sort_values()
    mine, other = ours.frame.loc[common], theirs.frame.loc[common]
    agreed = (mine["label"] == other["label"]).to_numpy(bool)
    if not agreed.any() or not {f"base_{name}" for name in theirs.classes} <= {*other.columns}:
        return None
    happened = other["label"].to_numpy("int64")[agreed]
    usual = brier(probabilities(other, theirs.classes, "base")[agreed], happened)
    found = []
    for rows in (mine, other):
        said = probabilities(rows, theirs.classes)[agreed]
        loss = float(log_loss(said, happened).mean())
        found.append(Scored(loss, skill(brier(said, happened), usual)))
    return found[0], found[1]
