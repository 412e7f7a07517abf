"""Rows for the sequence models; both sides run in this process, the peer on bare libraries."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.build import build
from pipeline.config import Node, read_yaml
from pipeline.features.feature_set import FeatureSet
from pipeline.live.predictor import Predictor, Serving
from pipeline.models.base import Floats, Samples
from pipeline.models.bundle import HeadDeclaration, pack
from pipeline.models.lstm_lgbm import TREES, LstmLgbm
from pipeline.models.lstm_network import Shape
from pipeline.models.lstm_training import train_network
from pipeline.models.network_training import Training, cut_in_time, train
from pipeline.models.tcn import Tcn
from pipeline.models.tcn_training import Stretched
from registry.slots import Slot
from registry.versions import Registry
from tests.bench import peers
from tests.simulated import CLASSES, CONF, LOOKBACK, declared, head_samples

WINDOWS, BATCH = 8_000, 64
AT, SLOT = "2025-12-20T00:00:00+00:00", Slot("bench", "SIM-ETH")
Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pair:
    """What is measured: ours and the peer's, `calls` to a unit."""

    what: str
    ours: Callable[[], object]
    peer: Callable[[], object]
    name: str
    calls: int = 1


def pairs(folder: Path) -> Iterator[Pair]:
    """One epoch in both precisions, opening a version, and one signal."""
    import torch

    torch.set_num_threads(1)
    given = labelled()
    for precision in ("f32", "bf16"):
        training = Training(max_epochs=1, precision=precision, batch=BATCH)
        yield Pair(
            f"one LSTM epoch on {WINDOWS:,} windows, {precision}",
            lambda training=training: train_network(
                given, LOOKBACK, Shape(), training, np.random.default_rng(1)
            ),
            lambda training=training: bare_epoch(given, training),
            "a bare torch loop",
        )
    form, shorter = tcn_form(), Training(max_epochs=1, batch=256)
    yield Pair(
        f"one TCN epoch on {WINDOWS:,} windows, f32",
        lambda: train(given, form, shorter, np.random.default_rng(1)),
        lambda: train_network(
            given, LOOKBACK, Shape(), Training(max_epochs=1), np.random.default_rng(1)
        ),
        "our LSTM, one epoch",
    )
    yield from serving(folder)


def tcn_form() -> Stretched:
    """The network that conf/model/tcn.yaml declares."""
    model: Tcn = declared("model", "tcn")
    return Stretched(model.lookback, model.stretch, model.network)


@cache
def labelled() -> Samples:
    """Samples whose older part, the one that trains, has about `WINDOWS` rows."""
    count = round(WINDOWS / (1 - Training().validation_share))
    candles = peers.candles(count + 2 * declared("features", "hourly46").warm_up)
    return head_samples(candles).take(np.arange(count))


def bare_epoch(given: Samples, training: Training) -> float:
    """What a torch user writes; no weights of rows, no cut of long gradients, no second look.

    Scales by the older rows, then one pass over them: nn.LSTM of two layers with dropout, dense
    layers, batches drawn at random from a strided view, cross-entropy, Adam with its defaults. Then
    the loss of the newer rows.
    """
    import torch

    older, newer = cut_in_time(given, 1 - training.validation_share, "")
    mean, scale = older.values.mean(axis=0), older.values.std(axis=0)
    scaled = torch.from_numpy(((given.table.values - mean) / scale).astype("float32"))
    view = scaled.unfold(0, LOOKBACK, 1).transpose(1, 2)
    label = torch.from_numpy(given.label.astype("int64"))
    network = bare_network(given.values.shape[1])
    optimiser = torch.optim.Adam(network.parameters(), lr=training.learning_rate)
    criterion = torch.nn.CrossEntropyLoss()
    half, count = training.precision == "bf16", len(older.rows)
    first = torch.from_numpy(given.rows - (LOOKBACK - 1))
    for chosen in torch.randperm(count).split(training.batch):
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = criterion(network(view[first[chosen]]), label[chosen])
        loss.backward()
        optimiser.step()
    network.eval()
    total = 0.0
    with torch.no_grad():
        for chosen in torch.arange(len(given.rows) - len(newer.rows), len(given.rows)).split(512):
            total += float(criterion(network(view[first[chosen]]), label[chosen])) * len(chosen)
    return total


def bare_network(columns: int) -> Any:
    """The same layers as `Shape()` declares, in plain torch."""
    from torch import nn

    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(columns, 128, 2, batch_first=True, dropout=0.3)
            self.dense = nn.Sequential(
                nn.Linear(128, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 32), nn.Linear(32, 3)
            )

        def forward(self, batch: Any) -> Any:
            return self.dense(self.lstm(batch)[0][:, -1])

    return Bare()


def serving(folder: Path) -> Iterator[Pair]:
    """A registered `lstm_lgbm` of full size, opened and asked, beside bare libraries."""
    registry, files = registered(folder)
    place = folder / "bare"
    place.mkdir()
    for name in ("network.onnx", TREES):
        (place / name).write_bytes(files[f"heads/direction/{name}"])
    yield Pair(
        "open one lstm_lgbm version, every byte verified",
        lambda: [opened(registry) for _ in range(20)],
        lambda: [bare_open(place) for _ in range(20)],
        "onnxruntime and LightGBM, unverified",
        20,
    )
    predictor = opened(registry)
    long, short = peers.candles(predictor.memory), peers.candles(200)
    session, booster = bare_open(place)
    yield Pair(
        f"candles to one signal (ours reads {len(long):,} candles)",
        lambda: [predictor.predict(long) for _ in range(peers.CALLS)],
        lambda: [bare_signal(short, session, booster) for _ in range(peers.CALLS)],
        "pandas on 200 candles, onnxruntime, LightGBM",
        peers.CALLS,
    )


def registered(folder: Path) -> tuple[Registry, dict[str, bytes]]:
    """Fit a network of full size for one epoch and register it."""
    declaration = _declaration()
    model: LstmLgbm = build({**declaration.model, "training": {"max_epochs": 1}}, "model")
    part = labelled().take(np.arange(2_000))
    fitted = model.fit(part, np.random.default_rng(1))
    files = pack("1h", {"direction": declaration}, {"direction": fitted})
    registry = Registry(folder / "registry")
    registry.add(SLOT, files | {"card.json": json.dumps({"slot": str(SLOT)}).encode()}, AT)
    return registry, files


def opened(registry: Registry) -> Predictor:
    """A predictor of the registered version, through the verifying door."""
    return Predictor.load(SLOT, registry.open(SLOT, "v0001"), Serving("observe", 0.55, AT), ())


def bare_open(place: Path) -> tuple[Any, Any]:
    """The same network and trees, opened by their own libraries."""
    import lightgbm
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        place / "network.onnx", options, providers=["CPUExecutionProvider"]
    )
    return session, lightgbm.Booster(model_file=place / TREES)


def bare_signal(candles: pd.DataFrame, session: Any, booster: Any) -> Floats:
    """Columns by pandas over 200 candles, scaled by themselves, through network and trees."""
    frame = peers.with_pandas(candles)
    values = frame.to_numpy()[-LOOKBACK:]
    scaled = ((values - values.mean(axis=0)) / (values.std(axis=0) + 1e-9)).astype("float32")
    embedding = session.run(None, {"windows": scaled[None]})[0]
    return np.asarray(booster.predict(embedding, num_threads=1))


def _declaration() -> HeadDeclaration:
    declared_features: FeatureSet = declared("features", "hourly46")
    features: Node = read_yaml(CONF / "features/hourly46.yaml")
    return HeadDeclaration(
        features={**features, "columns": declared_features.to_list()},
        label=read_yaml(CONF / "label/three_class.yaml"),
        model=read_yaml(CONF / "model/lstm_lgbm.yaml"),
        classes=CLASSES,
    )
