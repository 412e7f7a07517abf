"""What luck alone would show: tests of two forecasts, and of the best of many backtests.

Sharpe ratios here are of one period (a day), not annualised, and ordinary moments are used:
``mean / standard deviation`` with the sample's own n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
NORMAL = NormalDist()
EULER = 0.5772156649015329


@dataclass(frozen=True, slots=True)
class Returns:
    """What is known of a series of returns: its Sharpe ratio, and how far that is from normal."""

    sharpe: float
    rows: int
    skewness: float = 0.0
    kurtosis: float = 3.0

    @classmethod
    def of(cls, values: Floats) -> Returns:
        """Moments of returns, shape (rows,); a series that never changes has no Sharpe ratio."""
        apart = values - values.mean() if values.size else values
        deviation = math.sqrt(float(np.mean(apart**2))) if values.size else 0.0
        if values.size <= 1 or deviation <= 1e-12 * float(np.abs(values).max()):
            return cls(math.nan, values.size)
        shape = apart / deviation
        sharpe = float(values.mean()) / deviation
        return cls(sharpe, values.size, float(np.mean(shape**3)), float(np.mean(shape**4)))


def probabilistic_sharpe(returns: Returns, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio is above `benchmark`.

    ``Phi((S - B) sqrt(n - 1) / sqrt(1 - g3 S + (g4 - 1) / 4 S^2))`` with skewness g3 and
    kurtosis g4 (Bailey and López de Prado 2012, The Sharpe ratio efficient frontier, eq. 5).
    NaN where there is no Sharpe ratio or its variance is not positive.

    Examples
    --------
    >>> round(probabilistic_sharpe(Returns(0.1, 250)), 3)
    0.942
    """
    sharpe = returns.sharpe
    spread = 1 - returns.skewness * sharpe + (returns.kurtosis - 1) / 4 * sharpe**2
    if not spread > 0:
        return math.nan
    return NORMAL.cdf((sharpe - benchmark) * math.sqrt((returns.rows - 1) / spread))


def best_sharpe_of_luck(trials: int, deviation: float) -> float:
    """Expected highest Sharpe ratio of so many trials none of which is any good.

    ``d ((1 - e) z(1 - 1/N) + e z(1 - 1/(N exp(1))))`` with Euler's constant e, the normal
    quantile z and the deviation d of the trials' Sharpe ratios (Bailey and López de Prado 2014,
    The deflated Sharpe ratio, eq. 1).

    Examples
    --------
    >>> years = [best_sharpe_of_luck(n, 1 / 60**0.5) * 365**0.5 for n in (1, 10, 1000)]
    >>> [round(year, 2) for year in years]
    [0.0, 3.88, 8.03]
    """
    if trials <= 1:
        return 0.0
    highest = NORMAL.inv_cdf(1 - 1 / trials)
    beyond = NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return deviation * ((1 - EULER) * highest + EULER * beyond)


def deflated_sharpe(returns: Returns, trials: int, deviation: float | None = None) -> float:
    """Probability that the best of `trials` is better than the best of as many without skill.

    The probabilistic Sharpe ratio against `best_sharpe_of_luck` (Bailey and López de Prado 2014).

    Parameters
    ----------
    trials
        How many configurations were tried; the ledger's number, `registry.trials.count_trials`.
    deviation
        Of the Sharpe ratios of all trials. None where only their number is known: that of a
        Sharpe ratio of no skill over as many rows, ``1 / sqrt(rows - 1)``.

    Examples
    --------
    The paper's example: 2.5 a year over 1,250 days, 100 trials with a variance of 1/2 a year.

    >>> found = Returns(2.5 / 250**0.5, 1250, skewness=-3.0, kurtosis=10.0)
    >>> round(deflated_sharpe(found, 100, (0.5 / 250) ** 0.5), 2)
    0.9
    """
    if deviation is None:
        deviation = 1 / math.sqrt(max(returns.rows - 1, 1))
    return probabilistic_sharpe(returns, best_sharpe_of_luck(trials, deviation))


def diebold_mariano(differences: Floats, horizon: int) -> float:
    """Two-sided p of equal losses, for forecasts that look `horizon` rows ahead.

    The mean difference by the root of its long-run variance over `horizon` - 1 lags (Diebold and
    Mariano 1995, Comparing predictive accuracy), corrected for small samples and held against
    Student's t of n - 1 (Harvey, Leybourne and Newbold 1997, Testing the equality of prediction
    mean squared errors, eq. 9). Where the sum of lags is not positive they are weighed by
    Bartlett's triangle (Newey and West 1987), which is never negative.

    Parameters
    ----------
    differences
        Loss of one forecast less that of the other, in order of time, shape (rows,).

    Examples
    --------
    >>> round(diebold_mariano(np.array([0.1, 0.3, -0.1, 0.2, 0.2, 0.1]), 1), 3)
    0.062
    """
    from scipy.special import stdtr

    rows = len(differences)
    horizon = min(horizon, rows // 2)
    if horizon < 1 or not differences.any():
        return 1.0
    mean = float(differences.mean())
    apart = differences - mean
    lags = np.array([apart[lag:] @ apart[: rows - lag] for lag in range(horizon)]) / rows
    variance = float(2 * lags.sum() - lags[0])
    if not variance > 0:
        lags = lags * (1 - np.arange(horizon) / horizon)
        variance = float(2 * lags.sum() - lags[0])
    if not variance > 0:
        return 0.0
    correction = (rows + 1 - 2 * horizon + horizon * (horizon - 1) / rows) / rows
    return 2 * float(stdtr(rows - 1, -abs(mean) * math.sqrt(correction * rows / variance)))


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p of two classifiers being right equally often.

    Of independent rows that only one of them had right, the share of either is a half (McNemar
    1947; exact binomial as in Agresti 2002, Categorical data analysis, section 10.1).

    Examples
    --------
    >>> round(mcnemar(2, 8), 3), mcnemar(0, 0)
    (0.109, 1.0)
    """
    from scipy.special import bdtr

    fewer, rows = min(only_first, only_second), only_first + only_second
    return min(1.0, 2 * float(bdtr(fewer, rows, 0.5)))
