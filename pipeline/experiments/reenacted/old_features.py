"""Features as they were filled: what is not known yet is taken from later rows. Never evidence."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.build import build
from pipeline.configuration.plan import Plan
from pipeline.experiments.reenacted.entries import Head
from pipeline.fitting.training import labelled_samples
from pipeline.frames import key_by_market
from pipeline.labels.base import Label
from pipeline.models.base import Samples
from pipeline.models.windows import with_whole_windows


def filled_back(features: pd.DataFrame) -> pd.DataFrame:
    """Every gap filled from the row before, those at the start from the first row behind them.

    Examples
    --------
    >>> filled_back(pd.DataFrame({"sma": [np.nan, np.nan, 3.0, np.nan]}))["sma"].tolist()
    [3.0, 3.0, 3.0, 3.0]
    """
    finite = features.replace([np.inf, -np.inf], np.nan)
    return finite.ffill().bfill().fillna(0.0)


def samples_as_then(head: Head, candles: pd.DataFrame, plan: Plan, name: str) -> Samples:
    """The labelled rows of a head of candles, those of the warm-up too, filled from later ones."""
    told, market = plan.stages["train"], plan.run.market.name
    node = told["heads"][name]
    label: Label = build(node["label"], f"label of {name}", plan.plugins)
    feature_set = build(node["features"], f"features of {name}", plan.plugins)
    features = key_by_market(filled_back(feature_set.compute_all(candles)), market)
    labels = key_by_market(label.compute(candles, plan.run.timeframe), market)
    samples = labelled_samples(features, labels, head.samples.classes)
    return with_whole_windows(samples, int(told["lookback"]))
