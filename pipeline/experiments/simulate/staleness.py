"""What a model loses as it ages: its skill by days since it was made, on the same candles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from pipeline.experiments.simulate.losses import Gap, Losses
from pipeline.experiments.simulate.policies import AGES, Turns

MEASURE = "log_loss"


@dataclass(frozen=True, slots=True)
class Aged:
    """Models of one age beside the newest ones on the same candles.

    `from_days` and `to_days` are the age of the model when it was asked; `skill` is 1 less its
    log loss by that of the class shares that the newest was trained on, `fresh_skill` the same of
    the newest. `gap` is the log loss less the newest one's, None at the age of the newest.
    """

    from_days: float
    to_days: float
    turns: int
    rows: int
    skill: float
    fresh_skill: float
    gap: Gap | None


def staleness(turns: Turns, losses: Callable[[int, int], Losses], horizon: int) -> list[Aged]:
    """One entry for each of `AGES` that some model reached, the youngest first.

    Parameters
    ----------
    losses
        Those of a model (number of its turn) about a turn's candles.
    horizon
        Days that one label may reach over.
    """
    length = _days(turns)
    found = []
    for age in AGES:
        pairs = [
            (turn, turn - age)
            for turn in range(age, len(turns.fitted))
            if turns.answered(turn, turn - age) and turns.answered(turn, turn)
        ]
        aged = Losses.joined(losses(turn, model) for turn, model in pairs)
        fresh = Losses.joined(losses(turn, turn) for turn, _ in pairs)
        if (told := _aged(aged, fresh, horizon if age else 0)) is not None:
            skill, fresh_skill, gap, rows = told
            start, end = age * length, (age + 1) * length
            found.append(Aged(start, end, len(pairs), rows, skill, fresh_skill, gap))
    return found


def _aged(aged: Losses, fresh: Losses, horizon: int) -> tuple[float, float, Gap | None, int] | None:
    usual = fresh.usual()
    gaps = [each.to(usual, MEASURE, 1, draws=False) for each in (aged, fresh)]
    if gaps[0] is None or gaps[1] is None:
        return None
    skills = [1 - gap.ours / gap.theirs for gap in gaps if gap is not None]
    gap = aged.to(fresh, MEASURE, horizon) if horizon else None
    return skills[0], skills[1], gap, gaps[0].rows


def _days(turns: Turns) -> float:
    first = turns.fitted[0].turn
    return float((first.until - first.as_of) / pd.Timedelta(days=1))
