"""Labelled samples of a simulated market in this process, as the stages make them from conf/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.build import build
from pipeline.config import Node, read_yaml
from pipeline.evaluation.evidence import evidence_of
from pipeline.evaluation.metrics import MOVES, Scores, direction_rows, score_head
from pipeline.fitting.training import checked_folds, labelled_samples, predict_folds
from pipeline.frames import key_by_market
from pipeline.labels.three_class import ThreeClass
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.simulated import Simulated
from pipeline.models.base import Model, Samples
from pipeline.models.windows import with_whole_windows
from registry.conditions import GateConfig
from registry.gate import Verdict, judge
from tests.conftest import CHECKOUT

CONF = CHECKOUT / "conf"
MARKET, TIMEFRAME, LOOKBACK = "SIM-ETH", "1h", 24
CLASSES = ThreeClass.classes
SMALL: Node = {  # seconds instead of minutes; the trees behind it are conf's own
    "network": {"hidden": 32, "layers": 1, "dense": 16, "embedding": 8, "dropout": 0.1},
    "training": {"max_epochs": 2, "learning_rate": 0.0005},
}


def declared(group: str, name: str, changes: Mapping[str, Any] | None = None) -> Any:
    """Build what a YAML of conf/ declares, some of its keys changed."""
    return build(_merged(read_yaml(CONF / group / f"{name}.yaml"), changes or {}), name)


def simulated_candles(hours: int, edge: float, seed: int) -> pd.DataFrame:
    """So many hourly candles; `edge` is the state's correlation with the return of the next day."""
    world = Simulated(seed=seed, edge=edge)
    start = pd.Timestamp(world.start)
    sim = Instrument(name=MARKET, symbol=MARKET)
    return world.fetch(sim, TIMEFRAME, start, start + pd.Timedelta(hours=hours))


def simulated_samples(hours: int, edge: float, seed: int) -> Samples:
    """Samples of a simulated market."""
    return head_samples(simulated_candles(hours, edge, seed))


def head_samples(candles: pd.DataFrame) -> Samples:
    """Samples of one market's hourly candles that end a whole window."""
    features = declared("features", "hourly46").compute(candles)
    labels = declared("label", "three_class").compute(candles, TIMEFRAME)
    keyed = [key_by_market(frame, MARKET) for frame in (features, labels)]
    return with_whole_windows(labelled_samples(keyed[0], keyed[1], CLASSES), LOOKBACK)


def walked(samples: Samples, model: Model, seed: int = 7) -> pd.DataFrame:
    """What a model predicts out of fold over the folds of walk_forward, joined with the labels."""
    folds = checked_folds(samples, declared("split", "walk_forward"))
    parts = [part.predictions for part in predict_folds(samples, model, folds, seed)]
    happened = pd.DataFrame(
        {"label": samples.label, "ends_at": samples.ends_at}, index=samples.index
    )
    return pd.concat(parts).join(happened, how="inner")


def scored(joined: pd.DataFrame) -> Scores:
    """The scores that the gate reads."""
    return score_head(joined, CLASSES, TIMEFRAME)


def direction(joined: pd.DataFrame) -> Scores:
    """Scores of sell against buy among the moves alone: what volatility cannot tell."""
    return score_head(direction_rows(joined, CLASSES), MOVES, TIMEFRAME)


def judged(scores: Scores) -> Verdict:
    """The default gate's verdict where there is no champion yet."""
    limits = read_yaml(CONF / "gate" / "default.yaml")
    evidence = evidence_of({"direction": scores}, scores, [len(CLASSES)], chronological=True)
    return judge(evidence, GateConfig(**limits))


def _merged(node: Node, changes: Mapping[str, Any]) -> Node:
    return {
        **node,
        **{
            key: _merged(node[key], value) if isinstance(value, Mapping) else value
            for key, value in changes.items()
        },
    }
