"""What could have been forecast without a model: persistence and climatologies of volatility.

All are learned for each fold from labels known before its first test candle opened. Where there
are none the training shares stand in, which are the fourth baseline: the majority.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.regimes import DAY, at_rows, log_range
from pipeline.market.candles import duration

Floats = npt.NDArray[np.float64]
MAJORITY, PERSISTENCE, CLIMATOLOGY, HAR = (
    "majority",
    "persistence",
    "volatility_climatology",
    "har",
)
BUCKETS = 5
SHRUNK = 10.0  # independent rows of training shares that are mixed into each bucket
WINDOWS = (DAY, 7 * DAY, 30 * DAY)


def baselines(
    joined: pd.DataFrame,
    classes: tuple[str, ...],
    timeframe: str,
    labels: pd.DataFrame,
    candles: pd.DataFrame,
) -> dict[str, Floats]:
    """Probabilities of every baseline, shape (rows, classes), by its name.

    Parameters
    ----------
    joined
        Out-of-fold predictions joined with labels; see `pipeline.evaluation.metrics.score_head`.
    labels
        Every labelled row, with ``ends_at``, ``weight`` and ``label``; without the last, labels
        that training learned, those of `joined` serve.
    candles
        Keyed (market, time).
    """
    known = _known(joined, labels)
    har = har_forecast(joined, candles, timeframe)
    day = log_range(candles, DAY)
    return {
        MAJORITY: _base(joined, classes),
        PERSISTENCE: persistence(joined, classes, known, timeframe),
        CLIMATOLOGY: climatology(joined, classes, known, dict.fromkeys(_folds(joined), day)),
        HAR: climatology(joined, classes, known, har),
    }


def persistence(
    joined: pd.DataFrame, classes: tuple[str, ...], known: pd.DataFrame, timeframe: str
) -> Floats:
    """The class that its market showed last, of labels known when the row's candle closed."""
    found = _base(joined, classes).copy()
    market, time = (joined.index.get_level_values(key) for key in ("market", "time"))
    told = _nanoseconds(pd.DatetimeIndex(time) + duration(timeframe))
    past = known.sort_values("ends_at", kind="stable")
    of_market = past.index.get_level_values("market")
    for name in market.unique():
        own = past[of_market == name]
        rows = np.flatnonzero(market == name)
        place = np.searchsorted(_nanoseconds(own["ends_at"]), told[rows], side="right") - 1
        seen = rows[place >= 0]
        found[seen] = np.eye(len(classes))[own["label"].to_numpy("int64")[place[place >= 0]]]
    return found


def climatology(
    joined: pd.DataFrame,
    classes: tuple[str, ...],
    known: pd.DataFrame,
    states: dict[int, pd.Series],
) -> Floats:
    """Class shares where the market moved as much as now: in fifths of what was seen before.

    Parameters
    ----------
    known
        Rows with ``label``, ``ends_at`` and ``weight`` (average uniqueness).
    states
        For each fold, a figure of each candle known at its close, keyed (market, time).

    Returns
    -------
    ndarray
        Weighted shares of the bucket, with 10 independent rows of the training shares mixed in.
    """
    found = _base(joined, classes).copy()
    for rows, past, fold in _lessons(joined, known):
        before = at_rows(states[fold], past.index).to_numpy()
        now = at_rows(states[fold], joined.index[rows]).to_numpy()
        fine = np.isfinite(before)
        if fine.any():
            edges = np.quantile(before[fine], np.arange(1, BUCKETS) / BUCKETS)
            counts = _counts(past[fine], np.searchsorted(edges, before[fine]), len(classes))
            sure = np.flatnonzero(np.isfinite(now))
            mine = counts[np.searchsorted(edges, now[sure])]
            mixed = mine + SHRUNK * found[rows[sure]]
            found[rows[sure]] = mixed / mixed.sum(axis=1, keepdims=True)
    return found


def har_forecast(
    joined: pd.DataFrame, candles: pd.DataFrame, timeframe: str
) -> dict[int, pd.Series]:
    """Forecast of the next day's log range from those of the last day, week and month.

    A heterogeneous autoregression (Corsi 2009, A simple approximate long-memory model of realized
    volatility), fitted for each fold and market to the days that ended before its test.
    """
    terms = pd.DataFrame({str(window): log_range(candles, window) for window in WINDOWS})
    step = duration(timeframe)
    parts = [one for _, one in terms.groupby(level="market", sort=False)]
    found = {}
    for fold, opened in _folds(joined).items():
        each = [_har(one, opened, step) for one in parts]
        found[fold] = pd.concat(each)
    return found


def _counts(past: pd.DataFrame, bucket: npt.NDArray[np.intp], classes: int) -> Floats:
    counts = np.zeros((BUCKETS, classes))
    np.add.at(counts, (bucket, past["label"].to_numpy("int64")), past["weight"].to_numpy("float64"))
    return counts


def _har(terms: pd.DataFrame, opened: pd.Timestamp, step: pd.Timedelta) -> pd.Series:
    time = pd.DatetimeIndex(terms.index.get_level_values("time"))
    day = pd.Series(terms.iloc[:, 0].to_numpy(), time)
    later = day.reindex(time + DAY).to_numpy()
    design = np.column_stack([np.ones(len(terms)), terms.to_numpy("float64")])
    past = np.isfinite(later) & np.asarray(time + DAY + step <= opened)
    if past.sum() <= design.shape[1]:
        return pd.Series(np.nan, terms.index)
    factor, *_ = np.linalg.lstsq(design[past], later[past], rcond=None)
    return pd.Series(design @ factor, terms.index)


def _known(joined: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    if "label" in labels:
        return labels
    return joined[["label", "ends_at"]].join(labels["weight"], how="inner")


def _lessons(
    joined: pd.DataFrame, known: pd.DataFrame
) -> Iterator[tuple[npt.NDArray[np.intp], pd.DataFrame, int]]:
    """For each fold and market: its rows, what was known before the fold's test, the fold."""
    market = joined.index.get_level_values("market")
    taught = known.index.get_level_values("market")
    for fold, opened in _folds(joined).items():
        past = np.asarray(known["ends_at"] <= opened)
        for name in market.unique():
            rows = np.flatnonzero((joined["fold"].to_numpy() == fold) & (market == name))
            yield rows, known[past & (taught == name)], fold


def _folds(joined: pd.DataFrame) -> dict[int, pd.Timestamp]:
    """When each fold's first test candle opened."""
    time = pd.Series(joined.index.get_level_values("time"), joined["fold"].to_numpy())
    return {int(str(fold)): opened for fold, opened in time.groupby(level=0).min().items()}


def _base(joined: pd.DataFrame, classes: tuple[str, ...]) -> Floats:
    return joined[[f"base_{name}" for name in classes]].to_numpy("float64")


def _nanoseconds(moments: pd.Series | pd.DatetimeIndex) -> npt.NDArray[np.int64]:
    return pd.DatetimeIndex(moments).as_unit("ns").asi8
