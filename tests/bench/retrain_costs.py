"""What `tests.bench.retrains` measures."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from pipeline.configuration.choices import choose
from pipeline.configuration.compose import compose_run, read_root
from pipeline.configuration.conf_groups import parse_words
from pipeline.configuration.plan import write_plan
from pipeline.configuration.planning import plan_run
from pipeline.fitting.fold_fits import REFIT, Fit, HeadFits, HeadTask
from pipeline.fitting.training import checked_folds, train_heads
from pipeline.runner import TIMING, run_stage
from pipeline.splits.walk_forward import WalkForward
from pipeline.stages import paths
from pipeline.stages.train import Config, head_samples

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("VINTAGE_REAL_DATA", ROOT.parent / "shared" / "data")).resolve()
BINGX, BINANCE = (DATA / "bingx_or_binance" / name for name in ("bingx_swap", "binance_futures"))
DUAL = ["recipe=bingx_dual", f"exchange.root={BINGX}", "as_of=2025-10-14T00:00Z"]
HOURLY = ["recipe=upbit_hourly", f"exchange.root={BINANCE}", "as_of=2023-06-01T00:00Z"]
WALK = [*HOURLY, "market=BTC-USDT", "recipe.timeframe=5m", "recipe.lookback=1"]
WALK += ["features=entry37", "label=long_entry"]
LIBRARY_SIZED = ["model.n_estimators=100", "model.num_leaves=31", "model.max_depth=-1"]
WALK_DAYS, DAYS, TIMES = 60, 60, 3
FIVE_FOLD = {
    "walks forward": ["split=walk_forward", "split.fold_count=5"],
    "purged blocks": ["split=purged_kfold"],
}
EVERY = ("four", "walk", "memory", "load", "run")
BUILT = ("download", "validate", "features", "labels")


def main() -> None:
    """Measure what is named and print a line each."""
    print(
        f"load of the last minute {os.getloadavg()[0]:.1f}, cores {len(os.sched_getaffinity(0))}",
        flush=True,
    )
    for name in sys.argv[1:] or EVERY:
        with tempfile.TemporaryDirectory() as folder:
            for line in MEASURED[name](Path(folder)):
                print(line, flush=True)


def four(folder: Path) -> Iterator[str]:
    """One fit of each of the four heads, from the store's candles to the fitted models."""
    _told(folder, [*DUAL, "split=holdout"])
    started = time.process_time()
    for stage in BUILT:
        run_stage(stage)
    tasks = _tasks()
    fits = HeadFits(tasks, folder)
    for name in tasks:
        fits(Fit(name, REFIT))
    spent = time.process_time() - started
    rows = {name: len(task.samples.rows) for name, task in tasks.items()}
    yield f"candles, features, labels and one fit of {rows}: {spent:.1f} CPU s of at most 15"


def walk(folder: Path) -> Iterator[str]:
    """Retrains of every day, each on 60 days, with one process and with two, in turns."""
    words = [*WALK, "model=lightgbm", *LIBRARY_SIZED]
    _told(folder, [*words, f"recipe.history_days={DAYS + WALK_DAYS + 3}"])
    for stage in BUILT:
        run_stage(stage)
    split = WalkForward(
        fold_count=WALK_DAYS, test_share=None, every_days=1, window="rolling", train_days=DAYS
    )
    ((name, task),) = _tasks().items()
    task = replace(task, folds=checked_folds(task.samples, split))
    spent: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for _ in range(TIMES):
        for workers, costs in spent.items():
            costs.append(_walls(lambda n=workers: train_heads({name: task}, n)))
    one, two = (list(zip(*spent[workers], strict=True)) for workers in (1, 2))
    ratios = [alone / shared for alone, shared in zip(one[0], two[0], strict=True)]
    yield (
        f"{len(task.folds)} retrains of {len(task.folds[0].train):,} rows x "
        f"{len(task.samples.table.columns)} columns: {statistics.median(one[1]):.1f} CPU s of at "
        f"most 34, {statistics.median(two[1]):.1f} with two processes; wall "
        f"{statistics.median(one[0]):.1f} s and {statistics.median(two[0]):.1f} s, "
        f"{statistics.median(ratios):.2f} times as quick ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def memory(folder: Path) -> Iterator[str]:
    """Peak of the train stage in a process of its own, and what it imported."""
    _told(folder, [*WALK, f"recipe.history_days={DAYS + 3}"])
    for stage in BUILT:
        run_stage(stage)
    told = "import sys, resource; from pipeline.runner import run_stage; run_stage('train'); "
    told += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "
    told += "*[name for name in ('torch', 'sklearn') if name in sys.modules])"
    for model in ("lightgbm", "xgboost", "xgboost_long_entry"):
        _told(folder, [*WALK, f"recipe.history_days={DAYS + 3}", f"model={model}"])
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "VINTAGE_WORKERS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", told],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        peak, *imported = done.stdout.split()
        timing = json.loads((TIMING / "train.json").read_text())
        rows = json.loads(paths.TRAINING.read_text())["heads"]["direction"]["rows"]
        yield (
            f"train of {model} on {rows:,} rows: at most {timing['peak_mb']} MiB (ru_maxrss "
            f"{peak}) of 350, {timing['cpu_seconds']} CPU s; imported: {imported or 'neither'}"
        )


def load(folder: Path) -> Iterator[str]:
    """Open a registered version of four heads, every byte verified."""
    from pipeline.live.loading import unpack
    from registry.slots import Slot
    from registry.versions import Registry

    _told(folder, [*DUAL, "split=holdout"])
    for stage in (*BUILT, "train"):
        run_stage(stage)
    files = [path for path in paths.BUNDLE.rglob("*") if path.is_file()]
    held = {path.relative_to(paths.BUNDLE).as_posix(): path.read_bytes() for path in files}
    registry, slot = Registry(folder / "registry"), Slot("bingx_dual", "BTC-USDT")
    card = json.dumps({"slot": str(slot)}).encode()
    registry.add(slot, held | {"card.json": card}, "2025-10-14T00:00:00+00:00")

    def opened() -> None:
        version = registry.open(slot, "v0001")
        unpack({name: version.read(name) for name in version.names})

    opened()
    walls, cpu = zip(*[_walls(opened) for _ in range(15)], strict=True)
    size = sum(map(len, held.values())) / 1e6
    yield (
        f"open four heads of trees, {size:.1f} MB, verified: "
        f"{statistics.median(cpu) * 1e3:.0f} CPU ms of at most 50, by the clock "
        f"{statistics.median(walls) * 1e3:.0f} ms"
    )


def run(folder: Path) -> Iterator[str]:
    """All stages of the dual recipe, five-fold and calibrated, in one process and in two.

    Walks forward are what a retrain makes; purged blocks train on four fifths in every fold.
    """
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    for name, split in FIVE_FOLD.items():
        for workers in (1, 2):
            started = time.perf_counter()
            spent = _whole_run(folder, [*DUAL, *split, "calibration=sigmoid"], workers)
            wall = time.perf_counter() - started
            files = sorted((folder / TIMING).iterdir())
            cpu = {file.stem: json.loads(file.read_text())["cpu_seconds"] for file in files}
            yield (
                f"whole run, five {name}, {workers} at once: {spent:.1f} CPU s of at most 60, "
                f"{wall:.0f} s; {cpu}"
            )


def _whole_run(folder: Path, words: list[str], workers: int) -> float:
    """CPU seconds of all stages in a process of its own."""
    told = "import sys; from tests.bench.retrain_costs import whole; whole(sys.argv[1:])"
    environment = {"PYTHONPATH": str(ROOT), "VINTAGE_HOME": str(folder)}
    before = _children()
    subprocess.run(
        [sys.executable, "-c", told, *words],
        cwd=folder,
        env={**os.environ, **environment, "VINTAGE_WORKERS": str(workers)},
        check=True,
    )
    return _children() - before


def whole(words: list[str]) -> None:
    """Compose and run every stage in the current folder."""
    _compose(words)
    for stage in (*BUILT, "train", "evaluate"):
        run_stage(stage)


MEASURED: dict[str, Callable[[Path], Iterator[str]]] = {
    "four": four,
    "walk": walk,
    "memory": memory,
    "load": load,
    "run": run,
}


def _told(folder: Path, words: list[str]) -> None:
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    os.environ["VINTAGE_HOME"] = str(folder)
    os.chdir(folder)
    _compose(words)


def _compose(words: list[str]) -> None:
    conf = ROOT / "conf"
    given = parse_words(["exchange=replay", *words])
    choices = choose(read_root(conf).choices, given)
    write_plan(plan_run(compose_run(choices, conf)))


def _tasks() -> dict[str, HeadTask]:
    from pipeline.config import read_yaml
    from pipeline.frames import read_frame
    from pipeline.runner import LOCAL, TOLD, Context

    told = read_yaml(TOLD / "train.yaml")
    config, context = Config.parse(told["config"], "train"), Context(("plugins",), read_yaml(LOCAL))
    found = {}
    for name, head in config.heads.items():
        table = read_frame(paths.FEATURES / f"{head.feature_set}.parquet")
        labels = read_frame(paths.LABELS / f"{name}.parquet")
        samples = head_samples(config, context, name, table, labels)
        found[name] = HeadTask(samples, context.build(head.model, name), [], config.seed)
    return found


def _walls(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock, and of CPU with children that ended."""
    started, before, cpu = time.perf_counter(), _children(), time.process_time()
    work()
    spent = time.process_time() - cpu + _children() - before
    return time.perf_counter() - started, spent


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
