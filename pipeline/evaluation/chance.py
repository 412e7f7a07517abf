"""How likely luck alone shows a figure as large as the one that was seen."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.bootstrap import Blocks, deviation

Floats = npt.NDArray[np.float64]
SAME = 1e-12  # of a figure that is the same in every draw


def chance(drawn: Floats, blocks: Blocks) -> float:
    """Probability of a figure at least so large where there is none: one-sided p.

    The figure by its standard error, held against Student's t of one degree of freedom less than
    there are blocks: so many parts the standard error itself rests on. 1 where nothing varies, NaN
    where the figure cannot be told.

    Parameters
    ----------
    drawn
        The figure, then that of each draw, shape (1 + draws,).

    Examples
    --------
    >>> draws = np.array([0.2, *np.linspace(0.03, 0.37, 101)])
    >>> round(chance(draws, Blocks(np.arange(60), 60, 2.0, 1.0)), 3)
    0.026
    """
    from scipy.special import stdtr

    value, told = float(drawn[0]), drawn[1:][np.isfinite(drawn[1:])]
    if not math.isfinite(value) or len(told) == 0:
        return math.nan
    error = deviation(drawn, blocks.widening)
    if not error > SAME:
        return 1.0
    return float(stdtr(max(blocks.moments / blocks.length - 1, 1.0), -value / error))
