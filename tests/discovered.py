"""Every model that conf/model declares, made small: a new YAML is under test by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pipeline.build import TARGET, build
from pipeline.config import Node, read_yaml
from pipeline.models.base import FeatureTable, Model, Samples
from tests.conftest import CHECKOUT

MODELS = sorted(path.stem for path in (CHECKOUT / "conf" / "model").glob("*.yaml"))
CLASSES = ("sell", "hold", "buy")
COLUMNS = ("rsi", "close", "atr", "volume")
SMALL: Node = {
    "lookback": 6,
    "network": {"channels": 8, "hidden": 8, "layers": 2, "dense": 8, "embedding": 4},
    "training": {"max_epochs": 2, "learning_rate": 0.01},
    "trees": {"n_estimators": 8, "min_data_in_leaf": 5, "learning_rate": 0.3},
    "n_estimators": 8,
    "min_child_weight": 1,
    "min_data_in_leaf": 5,
}


def declaration(name: str, **training: Any) -> Node:
    """What conf/model declares, with whatever of `SMALL` it has, and other training settings."""
    node = _shrunk(read_yaml(CHECKOUT / "conf" / "model" / f"{name}.yaml"), SMALL)
    if "training" in node:
        node["training"] |= training
    return node


def small_model(name: str, **training: Any) -> Model:
    """Build `declaration`."""
    made: Model = build(declaration(name, **training), name)
    return made


def column_samples(rows: int = 400, seed: int = 1) -> Samples:
    """One market's samples whose label the first column tells, more or less."""
    generator = np.random.default_rng(seed)
    time = pd.date_range("2025-01-01", periods=rows, freq="h", tz="UTC", unit="ms")
    index = pd.MultiIndex.from_product([["KRW-SOL"], time], names=["market", "time"])
    values = generator.normal([0, 100, 5, 2], [1, 10, 0.1, 3], (rows, len(COLUMNS)))
    chosen = np.arange(5, rows)
    score = values[chosen, 0] + 0.3 * generator.normal(size=len(chosen))
    return Samples(
        table=FeatureTable(COLUMNS, values, index),
        rows=chosen,
        label=np.searchsorted([-0.45, 0.45], score).astype("int8"),
        weight=generator.uniform(0.2, 1, len(chosen)),
        ends_at=time[chosen] + pd.Timedelta(hours=4),
        classes=CLASSES,
    )


def _shrunk(node: Node, changes: Node) -> Node:
    return {
        key: _shrunk(value, SMALL if TARGET in value else changes.get(key, {}))
        if isinstance(value, dict)
        else changes.get(key, value)
        for key, value in node.items()
    }
