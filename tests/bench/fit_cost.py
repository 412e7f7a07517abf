"""What fits of conf's sequence models cost: CPU seconds, peak memory, epochs, bundle, per process.

``python -m tests.bench.fit_cost --candles 8373 --precisions f32 bf16``. Each line is a process of
its own: the fits of walk_forward and the refit one after the other, on the simulated exchange.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from tests.conftest import CHECKOUT
from tests.simulated import declared, simulated_samples


def main() -> None:
    """Measure and print a table in Markdown."""
    asked = _arguments()
    if asked.inside:
        print(json.dumps(_measure(asked, asked.precisions[0])))
        return
    print(
        "| model | precision | one fit | epochs, best | folds and refit | ratio | peak | bundle |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for precision in asked.precisions:
        command = [sys.executable, "-W", "ignore", "-m", "tests.bench.fit_cost", "--inside"]
        words = ["--precisions", precision, "--model", asked.model]
        words += ["--candles", str(asked.candles), "--edge", str(asked.edge)]
        words += ["--patience", str(asked.patience)]
        done = subprocess.run([*command, *words], cwd=CHECKOUT, check=True, capture_output=True)
        print(_line(asked.model, precision, json.loads(done.stdout)), flush=True)


def _measure(asked: argparse.Namespace, precision: str) -> dict[str, Any]:
    """CPU seconds of each fit, the refit last, and what is left of it."""
    samples = simulated_samples(asked.candles, asked.edge, seed=7)
    training = {"precision": precision, "patience": asked.patience}
    model = declared("model", asked.model, {"training": training})
    folds = declared("split", "walk_forward").folds(samples.time, samples.ends_at)
    parts = [*(samples.take(fold.train) for fold in folds), samples]
    seconds, epochs = [], []
    for number, part in enumerate(parts):
        started = time.process_time()
        fitted = model.fit(part, np.random.default_rng([7, number]))
        seconds.append(time.process_time() - started)
        epochs.append((fitted.log.epochs, fitted.log.best_epoch))
    return {
        "seconds": seconds,
        "epochs": epochs,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "bundle": sum(map(len, fitted.save().values())),
    }


def _line(model: str, precision: str, facts: dict[str, Any]) -> str:
    every, last = facts["seconds"], facts["seconds"][-1]
    epochs = " ".join(f"{done}/{best}" for done, best in facts["epochs"])
    sizes = f"{facts['peak'] / 2**20:.0f} MiB | {facts['bundle'] / 1e6:.2f} MB"
    share = f"{sum(every):.1f} s | {sum(every) / last:.2f}"
    return f"| {model} | {precision} | {last:.1f} s | {epochs} | {share} | {sizes} |"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fit_cost")
    parser.add_argument("--candles", type=int, default=8_373)
    parser.add_argument("--edge", type=float, default=0.0, help="0: a martingale")
    parser.add_argument("--model", default="lstm_lgbm")
    parser.add_argument("--patience", type=int, default=8, help="50: every epoch, no early stop")
    parser.add_argument("--precisions", nargs="+", default=["f32", "bf16"])
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
