"""What every model of conf/model finds, what it must not find, and what it may not import."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.build import TARGET
from pipeline.code_digest import code_of
from pipeline.config import Node
from pipeline.models.base import Samples
from tests.conftest import CHECKOUT
from tests.discovered import CLASSES, MODELS, column_samples, declaration, small_model
from tests.volume import volume

BASELINES = {
    "majority": 1e-9,
    "climatology": 0.04,
}  # how far off chance, as shares of states differ
ROWS = 1_200
every_seed = pytest.mark.parametrize("seed", range(volume(1)))
every_model = pytest.mark.parametrize("name", MODELS)


def balanced_accuracy(name: str, learnt: Samples, asked: Samples) -> float:
    """The mean share of each class that is named; one in three by chance."""
    fitted = small_model(name, max_epochs=6).fit(learnt, np.random.default_rng(3))
    named = fitted.predict_proba(asked.table, asked.rows).argmax(axis=1)
    return float(np.mean([(named[asked.label == k] == k).mean() for k in range(len(CLASSES))]))


def unlearnable(given: Samples, seed: int) -> Samples:
    """The same rows with labels that nothing tells."""
    drawn = np.random.default_rng([seed, 9]).permutation(given.label)
    return dataclasses.replace(given, label=drawn)


@every_seed
@every_model
def test_a_planted_edge_is_found_in_rows_that_come_later(name: str, seed: int) -> None:
    found = balanced_accuracy(
        name, column_samples(ROWS, 2 * seed), column_samples(ROWS, 2 * seed + 1)
    )
    chance = pytest.approx(1 / 3, abs=BASELINES.get(name))
    assert found == chance if name in BASELINES else found > 0.45


@every_seed
@every_model
def test_nothing_is_found_where_nothing_is(name: str, seed: int) -> None:
    learnt, asked = (unlearnable(column_samples(ROWS, 2 * seed + k), k) for k in (0, 1))
    assert 0.27 < balanced_accuracy(name, learnt, asked) < 0.4


def targets(node: Node) -> Iterator[str]:
    """The `_target_` of a mapping, and of every mapping in it."""
    yield from [node[TARGET]] if TARGET in node else []
    for value in node.values():
        yield from targets(value) if isinstance(value, dict) else ()


def without_torch() -> list[str]:
    """Models none of whose code, read and not run, imports torch."""
    modules = {
        name: [found.rpartition(".")[0] for found in targets(declaration(name))] for name in MODELS
    }
    return [name for name in MODELS if "torch" not in code_of(modules[name]).libraries]


FIT = """
import json, sys
import numpy as np
from tests.discovered import column_samples, small_model
given = column_samples()
for name in sys.argv[1:]:
    model = small_model(name)
    files = model.fit(given, np.random.default_rng(3)).save()
    model.load(files).predict_proba(given.table, given.rows)
print(json.dumps(sorted({"torch", "onnx", "onnxruntime"} & {*sys.modules})))
"""


def test_models_without_a_network_need_no_torch() -> None:
    names = without_torch()
    assert {"lightgbm", "xgboost", "stack", "logistic", "majority", "climatology"} <= {*names}
    assert not {"lstm", "lstm_lgbm", "tcn"} & {*names}
    done = subprocess.run(
        [sys.executable, "-c", FIT, *names],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == []
