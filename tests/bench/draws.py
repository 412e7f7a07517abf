"""Rows of the table: intervals of a head's figures; both sides in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.bootstrap import DRAWS, SEED, block_length, drawn_sums
from pipeline.evaluation.measures import (
    Outcomes,
    brier,
    direction_figures,
    mean_figures,
    rank_figures,
)
from pipeline.evaluation.metrics import outcomes_of, probabilities
from tests.bench.coverage import CLASSES, Case, simulated

ROWS, HORIZON, PEER_DRAWS = 20_000, 24, 50


@dataclass(frozen=True, slots=True)
class Pair:
    """What both sides do; the peer does one draw in `fewer`."""

    what: str
    ours: Callable[[], object]
    peer: Callable[[], object]
    name: str
    fewer: int = DRAWS // PEER_DRAWS


def pairs() -> list[Pair]:
    """The interval of a skill, and of every figure of three classes."""
    rows = simulated(Case(ROWS, HORIZON), np.random.default_rng(1))
    probability, outcomes = probabilities(rows, CLASSES), outcomes_of(rows, CLASSES, "1h")
    base = outcomes.against["brier_skill"]
    losses = np.column_stack([brier(each, outcomes.happened) for each in (probability, base)])
    return [
        Pair(
            f"{DRAWS:,} draws of a skill of {ROWS:,} rows",
            lambda: drawn_sums(losses, outcomes.blocks, np.random.default_rng(SEED)),
            lambda: [losses[_places(rng)].sum(axis=0) for rng in _generators()],
            "NumPy, row by row",
        ),
        Pair(
            "the same of all 28 figures of three classes",
            lambda: _every(probability, base, outcomes),
            lambda: [_areas(probability, outcomes, _places(rng)) for rng in _generators()],
            "scikit-learn, areas alone",
        ),
    ]


def _every(probability: np.ndarray, base: np.ndarray, outcomes: Outcomes) -> None:
    mean_figures(probability, outcomes)
    rank_figures(probability, base, outcomes)
    direction_figures(probability, base, outcomes)


def _areas(probability: np.ndarray, outcomes: Outcomes, places: np.ndarray) -> list[float]:
    from sklearn.metrics import roc_auc_score

    drawn = outcomes.happened[places]
    return [roc_auc_score(drawn == k, probability[places, k]) for k in range(len(CLASSES))]


def _generators() -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(PEER_DRAWS)]


def _places(rng: np.random.Generator) -> np.ndarray:
    """One draw of the stationary bootstrap, as positions of rows."""
    length = block_length(ROWS, HORIZON)
    starts = rng.random(ROWS) < 1 / length
    starts[0] = True
    first = rng.integers(0, ROWS, ROWS)
    place = np.arange(ROWS)
    began = np.maximum.accumulate(np.where(starts, place, 0))
    return (first[began] + place - began) % ROWS


def main() -> None:
    """CPU seconds of both, the median of 7 runs in turns."""
    print("| what | ours | peer | ratio | |\n|---|---|---|---|---|")
    for pair in pairs():
        times = [[_spent(side) for side in (pair.ours, pair.peer)] for _ in range(8)][1:]
        ours, peer = np.median(times, axis=0) * [1, pair.fewer]
        print(f"| {pair.what} | {ours:.3f} s | {peer:.3f} s | {peer / ours:.0f} | {pair.name} |")


def _spent(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


if __name__ == "__main__":
    main()
