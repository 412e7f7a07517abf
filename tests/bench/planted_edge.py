"""How often a planted edge is promoted and a martingale is not, seed by seed.

``python -m tests.bench.planted_edge --seeds 20``; every seed is a market of its own: candles,
features, labels, walk_forward, gate, without DVC. Minutes for the small network, hours for conf's.

`promoted` counts what the gate promotes, by the skill over all three classes. A martingale's
volatility can be predicted, and with it how often the price holds; so `direction found` counts
where sell against buy among the moves alone has a skill whose lower end is above 0.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from pipeline.config import Node
from tests.simulated import SMALL, declared, direction, judged, scored, simulated_samples, walked

NETWORKS: dict[str, Node] = {
    "small": SMALL,
    "full": {},
    "full-bf16": {"training": {"precision": "bf16"}},
}


def main() -> None:
    """Measure and print a table in Markdown."""
    asked = _arguments()
    changed = f", {' '.join(asked.change)}" if asked.change else ""
    print(
        f"{asked.hours:,} hourly candles, network {asked.network}{changed}, {asked.seeds} seeds\n"
    )
    print("| model | edge | promoted | Brier skill | direction found | its Brier skill |")
    print("|---|---|---|---|---|---|")
    started = time.process_time()
    for name in asked.models:
        for edge in asked.edges:
            print(_line(name, edge, asked), flush=True)
    print(f"\n{time.process_time() - started:.0f} CPU s; ± is the deviation between seeds")


def _line(name: str, edge: float, asked: argparse.Namespace) -> str:
    model = declared("model", name, _changes(name, asked))
    seeds = range(1, asked.seeds + 1)
    walks = [walked(simulated_samples(asked.hours, edge, seed), model) for seed in seeds]
    scores, moves = [scored(one) for one in walks], [direction(one) for one in walks]
    promoted = sum(judged(one).outcome == "promote" for one in scores)
    found = sum(one["brier_skill_low"] > 0 for one in moves)
    skill, move = (np.array([one["brier_skill"] for one in side]) for side in (scores, moves))
    return (
        f"| {name} | {edge:g} | {promoted} | {skill.mean():+.3f} ± {skill.std():.3f} "
        f"| {found} | {move.mean():+.3f} ± {move.std():.3f} |"
    )


def _changes(name: str, asked: argparse.Namespace) -> Node:
    """What the asked network and `--change` mean for a model; trees alone have no network."""
    changes: Node = dict(NETWORKS[asked.network] if name.startswith("lstm") else {})
    for words in asked.change:
        key, _, value = words.partition("=")
        group, _, leaf = key.rpartition(".")
        changes[group] = {**changes.get(group, {}), leaf: json.loads(value)}
    return changes


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.planted_edge")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--hours", type=int, default=24_000, help="hourly candles")
    parser.add_argument("--edges", type=float, nargs="+", default=[0.0, 0.15, 0.3, 0.45])
    parser.add_argument("--models", nargs="+", default=["lightgbm", "lstm_lgbm"])
    parser.add_argument("--network", choices=NETWORKS, default="small")
    parser.add_argument("--change", nargs="+", default=[], metavar="trees.min_data_in_leaf=50")
    return parser.parse_args()


if __name__ == "__main__":
    main()
