"""A bundle's bytes, wherever and beside whomever it is fitted; its size; and serving it lightly."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.build import build
from pipeline.config import Node, read_yaml
from pipeline.models.bundle import HeadDeclaration, pack
from registry.slots import Slot
from registry.versions import Registry
from tests.conftest import CHECKOUT
from tests.discovered import MODELS, column_samples, declaration, small_model
from tests.simulated import CLASSES, CONF, declared, head_samples, simulated_candles

AT, SLOT = "2025-12-20T00:00:00+00:00", Slot("demo", "SIM-ETH")
LARGEST = 3_000_000
FIT = """
import json, sys
import torch
from tests.unit.test_sequence_bundle import digests
torch.set_num_threads(int(sys.argv[1]))
print(json.dumps(digests()))
"""


def head(model: Node) -> HeadDeclaration:
    features = declared("features", "hourly46")
    return HeadDeclaration(
        features={
            "_target_": "pipeline.features.feature_set.FeatureSet",
            "name": features.name,
            "columns": features.to_list(),
        },
        label={"_target_": "pipeline.labels.three_class.ThreeClass"},
        model=model,
        classes=CLASSES,
    )


def digests() -> dict[str, str]:
    """What every file of a bundle of all models hashes to; networks learn in both precisions."""
    heads, fitted = {}, {}
    for name in MODELS:
        for precision in ("f32", "bf16") if "training" in declaration(name) else ("f32",):
            key = f"{name}-{precision}"
            heads[key] = head(declaration(name, precision=precision, max_epochs=3))
            model = small_model(name, precision=precision, max_epochs=3)
            fitted[key] = model.fit(column_samples(), np.random.default_rng(7))
    files = pack("1h", heads, fitted)
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def worker(threads: int, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FIT, str(threads)],
        cwd=CHECKOUT,
        env=os.environ | more,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_threads_and_workers_side_by_side_change_no_byte() -> None:
    here = digests()
    assert {f"heads/{name}-f32" for name in MODELS} <= {name.rpartition("/")[0] for name in here}
    workers = [
        worker(1, OMP_NUM_THREADS="1", PYTHONHASHSEED="1"),
        worker(2, OMP_NUM_THREADS="2", PYTHONHASHSEED="2"),
    ]
    for one in workers:
        out, _ = one.communicate()
        assert one.returncode == 0
        assert json.loads(out) == here


SERVE = """
import json, sys
from pathlib import Path
import pandas as pd
from pipeline.live.predictor import Predictor, Serving
from registry.slots import Slot
from registry.versions import Registry
slot = Slot("demo", "SIM-ETH")
verified = Registry(Path("registry")).open(slot, "v0001")
predictor = Predictor.load(slot, verified, Serving("observe", 0.55, "2025-01-01T00:00Z"), ())
candles = pd.read_parquet("candles.parquet")
signal = predictor.predict(candles)
heavy = {"torch", "onnx", "xgboost", "ccxt", "dvc"} & set(sys.modules)
found = [signal.sell_probability, signal.hold_probability, signal.buy_probability]
print(json.dumps({"probabilities": found, "heavy": sorted(heavy)}))
"""


def test_a_bundle_of_full_size_is_small_and_served_without_torch(tmp_path: Path) -> None:
    candles = simulated_candles(1_200, 0.3, 7)
    node = read_yaml(CONF / "model" / "lstm_lgbm.yaml")
    node["training"] |= {"max_epochs": 1}
    fitted = build(node, "model").fit(head_samples(candles), np.random.default_rng(1))
    files = pack("1h", {"direction": head(node)}, {"direction": fitted})
    assert 700_000 < sum(map(len, files.values())) < LARGEST
    registry = Registry(tmp_path / "registry")
    registry.add(SLOT, {**files, "card.json": json.dumps({"slot": str(SLOT)}).encode()}, AT)
    candles.to_parquet(tmp_path / "candles.parquet")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SERVE],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["heavy"] == []
    assert sum(found["probabilities"]) == pytest.approx(1)
