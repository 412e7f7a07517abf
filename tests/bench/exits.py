"""Rows for the sets of 5-minute candles; the peer is the time they may take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.build import build
from pipeline.configuration.extended_sets import read_feature_set
from pipeline.features.feature_set import FeatureSet
from pipeline.frames import key_by_market
from pipeline.market.trades import TradeRule
from pipeline.stages.features import compute
from tests.bench import peers

ROWS = 90 * 288
CONF = Path(__file__).resolve().parents[2] / "conf"
ENTRIES, EXITS = 0.3, 3.0
RULES = (TradeRule(side="long"), TradeRule(side="short"))


@dataclass(frozen=True, slots=True)
class Limited:
    """What is measured, and the seconds it may take."""

    what: str
    ours: Callable[[], object]
    seconds: float


def limited() -> Iterator[Limited]:
    """Both sets over 90 days of 5-minute candles, from the candle frame to the feature frame."""
    frame = five_minutes()
    entries: FeatureSet = build(read_feature_set(CONF, "entry37"), "features=entry37")
    yield Limited(
        f"entry37 of {ROWS:,} candles of 5 minutes",
        lambda: compute(frame, entries, None, "5m"),
        ENTRIES,
    )
    exits: FeatureSet = build(read_feature_set(CONF, "exit44"), "features=exit44")
    yield Limited(
        f"exit44 of {ROWS:,} candles, all trades of both sides",
        lambda: [compute(frame, exits, rule, "5m") for rule in RULES],
        EXITS,
    )


def five_minutes() -> pd.DataFrame:
    """Simulated candles of one market, keyed (market, time)."""
    return key_by_market(peers.candles(ROWS, step="5min"), "BTC-USDT")
