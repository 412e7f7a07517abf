"""Rows of the table: fits of boosted trees beside their bare libraries.

``python -m tests.bench.trees`` tells what each model of trees costs to fit, keep, open and ask.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from pipeline.fitting.training import checked_folds, train_head
from pipeline.models.base import FeatureTable, Model, Samples
from pipeline.splits.holdout import Holdout
from tests.simulated import declared

ROWS, COLUMNS, SEED, ASKED = 17_280, 37, 1, 300  # 60 days of 5-minute candles
HOLDOUT = Holdout(test_share=0.2)
NAMES = ("lightgbm", "xgboost", "xgboost_long_entry", "xgboost_short_entry", "xgboost_exit")


@dataclass(frozen=True, slots=True)
class Pair:
    """What is measured: ours and the peer's."""

    what: str
    ours: Callable[[], object]
    peer: Callable[[], object]
    name: str


def pairs() -> Iterator[Pair]:
    """Fits on the same arrays with the same parameters."""
    peers = {
        "lightgbm": (bare_lightgbm, "LightGBM"),
        "xgboost_long_entry": (bare_xgboost, "XGBoost"),
    }
    for name, (peer, library) in peers.items():
        model = declared("model", name, {"n_estimators": 300})
        yield Pair(
            f"fit {name}, {ROWS:,} x {COLUMNS}, 300 rounds",
            lambda model=model: model.fit(drawn(2), generator()),
            lambda model=model, peer=peer: peer(drawn(2), model),
            f"bare {library}, the same arrays",
        )
        yield Pair(
            f"train_head, {name}: fold, importance, refit",
            lambda model=model: train_head(drawn(2), model, HOLDOUT, SEED),
            lambda model=model, peer=peer: [peer(part, model) for part in parts()],
            f"two bare {library} fits on the same arrays",
        )


@cache
def drawn(classes: int) -> Samples:
    """Samples whose first column tells something; the second of two classes is rare."""
    chance = np.random.default_rng(3)
    values = chance.normal(size=(ROWS, COLUMNS))
    edges = [1.5] if classes == 2 else [-1.0, 1.0]
    label = np.searchsorted(edges, 0.5 * values[:, 0] + chance.normal(size=ROWS)).astype("int8")
    time_ = pd.date_range("2025-01-01", periods=ROWS, freq="5min", tz="UTC", unit="ms")
    index = pd.MultiIndex.from_product([["BENCH"], time_], names=["market", "time"])
    return Samples(
        table=FeatureTable(tuple(f"column_{k}" for k in range(COLUMNS)), values, index),
        rows=np.arange(ROWS),
        label=label,
        weight=chance.uniform(0.2, 1, ROWS),
        ends_at=time_ + pd.Timedelta(minutes=15),
        classes=("no", "yes", "maybe")[:classes],
    )


@cache
def parts() -> list[Samples]:
    """What the two fits of a holdout learn from, each as arrays of its own."""
    given = drawn(2)
    (fold,) = checked_folds(given, HOLDOUT)
    train = given.take(fold.train)
    table = FeatureTable(given.table.columns, train.values, train.index)
    return [replace(train, table=table, rows=np.arange(len(train.rows))), given]


def generator() -> np.random.Generator:
    """The same chance for every run."""
    return np.random.default_rng(SEED)


def bare_lightgbm(given: Samples, model: Any) -> Any:
    """What a user of the library writes."""
    import lightgbm

    parameters = model.model_dump(exclude={"n_estimators"}) | {
        "objective": "binary",
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(given.table.values, label=given.label, weight=given.weight)
    return lightgbm.train(parameters, data, num_boost_round=model.n_estimators)


def bare_xgboost(given: Samples, model: Any) -> Any:
    """What a user of the library writes."""
    import xgboost

    weight = given.weight
    zeros, ones = np.bincount(given.label, weight)
    parameters = model.model_dump(exclude={"n_estimators", "class_weight"}) | {
        "objective": "binary:logistic",
        "scale_pos_weight": zeros / ones,
        "nthread": 1,
    }
    data = xgboost.QuantileDMatrix(given.table.values, label=given.label, weight=weight, nthread=1)
    return xgboost.train(parameters, data, num_boost_round=model.n_estimators)


def main() -> None:
    """Measure and print a table in Markdown."""
    print(f"{ROWS:,} rows x {COLUMNS} columns, one thread\n")
    print("| model | classes | fit, CPU s | bundle | open | one row, CPU |")
    print("|---|---|---|---|---|---|")
    for name in NAMES:
        for classes in (2, 3):
            print(_line(name, declared("model", name), drawn(classes)), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory of this process, both libraries: {peak:.0f} MiB")


def _line(name: str, model: Model, given: Samples) -> str:
    model.fit(given.take(np.arange(500)), generator())  # the library's import is not the fit's
    started = time.process_time()
    fitted = model.fit(given, generator())
    spent = time.process_time() - started
    files = fitted.save()
    opened = statistics.median(_spent(lambda: model.load(files)) for _ in range(9))
    small = FeatureTable(given.table.columns, given.table.values[:1], given.table.index[:1])
    row, again = np.array([0]), model.load(files)
    asked = statistics.median(_spent(lambda: again.predict_proba(small, row)) for _ in range(ASKED))
    size = sum(map(len, files.values())) / 1e6
    told = f"{spent:.2f} | {size:.2f} MB | {opened * 1e3:.1f} ms | {asked * 1e6:.0f} µs"
    return f"| {name} | {len(given.classes)} | {told} |"


def _spent(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


if __name__ == "__main__":
    main()
