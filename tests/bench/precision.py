"""bf16 beside f32: the same rows, folds and seeds, out of fold; differences and their spread.

``python -m tests.bench.precision --recorded FOLDER --markets KRW-SOL`` reads recorded hourly
candles, and without `--recorded` a simulated market with a planted edge. Chance alone also moves a
score, so the spread between the seeds of f32 stands beside the difference.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from pipeline.models.base import Samples
from tests.conftest import recorded
from tests.simulated import declared, head_samples, scored, simulated_samples, walked

NAMES = ("log_loss", "balanced_accuracy")


def main() -> None:
    """Measure and print a table in Markdown."""
    asked = _arguments()
    print(f"{asked.model}, {asked.seeds} seeds; bf16 - f32: mean ± standard error\n")
    print("| candles | log loss | spread of f32 | balanced accuracy | spread of f32 |")
    print("|---|---|---|---|---|")
    for name, samples in _candles(asked).items():
        sides = [_scores(samples, asked, precision) for precision in ("f32", "bf16")]
        print(f"| {name} | {' | '.join(map(_difference, *sides))} |", flush=True)


def _scores(samples: Samples, asked: argparse.Namespace, precision: str) -> list[np.ndarray]:
    model = declared("model", asked.model, {"training": {"precision": precision}})
    found = [scored(walked(samples, model, seed)) for seed in range(1, asked.seeds + 1)]
    return [np.array([one[name] for one in found]) for name in NAMES]


def _difference(single: np.ndarray, half: np.ndarray) -> str:
    difference = half - single
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    return f"{difference.mean():+.4f} ± {error:.4f} | {single.std(ddof=1):.4f}"


def _candles(asked: argparse.Namespace) -> dict[str, Samples]:
    if not asked.recorded:
        simulated = simulated_samples(asked.hours, asked.edge, 7)
        return {f"simulated, edge {asked.edge:g}, {asked.hours:,} candles": simulated}
    return {
        market: head_samples(recorded(asked.recorded / f"{market}-60m.parquet"))
        for market in asked.markets
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.precision")
    parser.add_argument("--recorded", type=Path, help="folder of MARKET-60m.parquet files")
    parser.add_argument("--markets", nargs="+", default=["KRW-SOL", "KRW-BTC"])
    parser.add_argument("--hours", type=int, default=8_373)
    parser.add_argument("--edge", type=float, default=0.45)
    parser.add_argument("--model", default="lstm_lgbm")
    parser.add_argument("--seeds", type=int, default=8)
    return parser.parse_args()


if __name__ == "__main__":
    main()
