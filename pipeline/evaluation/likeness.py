"""How alike two versions' out-of-fold answers are, head by head, on the rows that both gave."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.bootstrap import Blocks
from pipeline.evaluation.comparison import OutOfFold
from pipeline.evaluation.measures import Outcomes, mean_figures
from pipeline.evaluation.metrics import probabilities
from registry.evidence import HeadLikeness

REST = "hold"
Floats = npt.NDArray[np.float64]
Heads = Mapping[str, OutOfFold]


def likeness(candidate: Heads, champion: Heads) -> tuple[HeadLikeness, ...]:
    """Hold the answers of two versions against each other, whatever happened afterwards.

    Heads that only one of them has, that name other classes, or that share no row are left out.
    """
    return tuple(
        found
        for name, ours in sorted(candidate.items())
        if name in champion
        and ours.classes == champion[name].classes
        and (found := _alike(name, ours, champion[name]))
    )


def signal_rate(chances: Floats, classes: tuple[str, ...]) -> float:
    """Share of rows whose most probable class is a side: another than hold, or than the first.

    Parameters
    ----------
    chances
        Shape (rows, classes).

    Examples
    --------
    >>> signal_rate(np.array([[0.2, 0.8], [0.6, 0.4]]), ("no", "enter"))
    0.5
    """
    rest = classes.index(REST) if REST in classes else 0
    return float((chances.argmax(axis=1) != rest).mean())


def rank_correlation(ours: Floats, theirs: Floats) -> float:
    """Spearman's correlation of two versions' answers; 1 where both always say the same, else 0.

    Of several classes that of the mean class, in their order.

    Examples
    --------
    >>> down = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    >>> round(rank_correlation(down, down[::-1]), 6), rank_correlation(down, down[:1].repeat(3, 0))
    (-1.0, 0.0)
    """
    order = np.arange(ours.shape[1])
    ranks = [pd.Series(chances @ order).round(12).rank().to_numpy() for chances in (ours, theirs)]
    moving = [bool(np.ptp(each) > 0) for each in ranks]
    if not all(moving):
        return 0.0 if any(moving) else 1.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _alike(name: str, ours: OutOfFold, theirs: OutOfFold) -> HeadLikeness | None:
    common = ours.frame.index.intersection(theirs.frame.index).sort_values()
    if not len(common):
        return None
    sides = [side.frame.loc[common] for side in (ours, theirs)]
    mine, other = (probabilities(rows, ours.classes) for rows in sides)
    errors = [_calibration_error(rows, ours.classes) for rows in sides]
    return HeadLikeness(
        head=name,
        rows=len(common),
        rank_correlation=rank_correlation(mine, other),
        signal_rate=signal_rate(mine, ours.classes),
        champion_signal_rate=signal_rate(other, ours.classes),
        calibration_error=errors[0],
        champion_calibration_error=errors[1],
    )


def _calibration_error(rows: pd.DataFrame, classes: tuple[str, ...]) -> float:
    happened = rows["label"].to_numpy("int64")
    alone = Blocks(np.arange(len(rows)), len(rows), length=1.0, widening=1.0, draws=0)
    outcomes = Outcomes(happened, classes, against={}, blocks=alone, moves=alone)
    return float(mean_figures(probabilities(rows, classes), outcomes)["calibration_error"][0])
