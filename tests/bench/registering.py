"""Publishing and loading a version beside plain files and bare LightGBM, on the clock.

``python -m tests.bench.registering [FOLDER]`` tells milliseconds of the clock, as disks are waited
for, of alternating turns: median, best, and the ninth in ten; FOLDER says which disk.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.config import read_yaml
from pipeline.live.predictor import Predictor, Serving
from pipeline.models.bundle import pack
from registry.pointers import move
from registry.slots import Slot
from registry.versions import Registry
from tests.bench.models import AT, _declaration, labelled
from tests.simulated import CONF, declared

SLOT, TURNS, NAME = Slot("demo", "SIM-BTC"), 50, "heads/direction/model.txt"


@dataclass(frozen=True, slots=True)
class Pair:
    """What is measured, what it may take in milliseconds, ours and the peer's."""

    what: str
    limit: float
    ours: Callable[[], object]
    peer: Callable[[], object]
    name: str


def main(folder: str | None = None) -> None:
    """Measure and print."""
    print(f"{'ms of the clock':<28} {'may be':>7} {'median':>8} {'best':>7} {'9 in 10':>8}")
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for pair in pairs(Path(place)):
            ours, peer = zip(
                *[(clocked(pair.ours), clocked(pair.peer)) for _ in range(TURNS)], strict=True
            )
            print(told(pair.what, pair.limit, ours))
            print(told(f"  {pair.name}", None, peer), flush=True)


def pairs(folder: Path) -> Iterator[Pair]:
    """A version of one head of 300 rounds of trees, its predictions and its page."""
    files, registry, plain = version(), Registry(folder / "registry"), folder / "plain"
    turns = iter(range(10**6))

    def published() -> None:
        card = json.dumps({"slot": str(SLOT), "turn": next(turns)}).encode()
        registry.add(SLOT, {**files, "card.json": card}, AT)

    yield Pair("publish", 100, published, lambda: write(plain / str(next(turns)), files), "files")
    newest = registry.versions(SLOT)[-1].version
    move(registry.root, SLOT, newest, "observe", reason="bench", who="bench", at=AT)
    yield Pair(
        "open, every byte verified", 50, lambda: opened(registry), peer_of(plain), "LightGBM"
    )


def version() -> dict[str, bytes]:
    model = declared("model", "lightgbm", {"n_estimators": 300})
    head = _declaration().model_copy(update={"model": read_yaml(CONF / "model/lightgbm.yaml")})
    fitted = model.fit(labelled(), np.random.default_rng(1))
    files = pack("1h", {"direction": head}, {"direction": fitted})
    page, rows = os.urandom(150_000), np.random.default_rng(1).bytes(60_000)
    beside = {"report.html": page, "predictions/direction.parquet": rows, "training.json": b"{}"}
    return {**files, **beside}


def opened(registry: Registry) -> Predictor:
    return Predictor.load(SLOT, registry.open(SLOT), Serving("observe", 0.55, AT), ())


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """The same files, each flushed, then their folders: what durable costs without a registry."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    for inner, _, _ in os.walk(folder):
        descriptor = os.open(inner, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def peer_of(plain: Path) -> Callable[[], object]:
    """Bare LightGBM opens the newest of the plain folders, unverified."""
    import lightgbm

    newest = max(plain.iterdir(), key=lambda path: int(path.name))
    return lambda: lightgbm.Booster(model_file=newest / NAME)


def clocked(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def told(what: str, limit: float | None, turns: tuple[float, ...]) -> str:
    ninth = sorted(turns)[len(turns) * 9 // 10]
    may = "" if limit is None else f"{limit:g}"
    middle = statistics.median(turns)
    return f"{what:<28} {may:>7} {middle:8.1f} {min(turns):7.1f} {ninth:8.1f}"


if __name__ == "__main__":
    main(*sys.argv[1:])
