"""How often a 90 % interval holds the truth, on simulated rows whose labels overlap.

``python -m tests.bench.coverage``; every series is a market of its own: hourly returns, labels that
look `horizon` hours ahead, and forecasts from a state that remembers as long. The truth is that
of a million rows; `plain` are the same draws without the widening.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.evaluation.bootstrap import interval
from pipeline.evaluation.measures import Outcomes, mean_figures, rank_figures
from pipeline.evaluation.metrics import outcomes_of, probabilities

CLASSES = ("sell", "hold", "buy")
THRESHOLD, EDGE, LEARNED = 0.6, 0.3, 0.2
START, HOUR = pd.Timestamp("2025-01-01T00:00Z"), pd.Timedelta(hours=1)
LONG, DRAWS = 200_000, 500
MEANS = ("accuracy", "brier_skill", "log_loss")
RANKS = ("auc_buy", "average_precision_buy", "information_coefficient")


@dataclass(frozen=True, slots=True)
class Case:
    """So many rows whose labels look so many rows ahead."""

    rows: int
    horizon: int


CASES = (Case(2000, 24), Case(8000, 24), Case(2000, 6), Case(2000, 1), Case(600, 24))


def simulated(case: Case, rng: np.random.Generator) -> pd.DataFrame:
    """Rows joined with labels: a state's forecast of the sum of the next returns' class."""
    rows, horizon = case.rows, case.horizon
    known, unknown = (_moving(rows, horizon, rng) for _ in range(2))
    change = EDGE * known + np.sqrt(1 - EDGE**2) * unknown
    label = 1 + (change > THRESHOLD) - (change < -THRESHOLD)
    lean = np.tanh(known) * LEARNED
    time = START + np.arange(rows) * HOUR
    index = pd.MultiIndex.from_arrays([["SIM"] * rows, time], names=["market", "time"])
    columns = {"p_sell": 0.3 - lean, "p_hold": 0.4, "p_buy": 0.3 + lean}
    columns |= {"base_sell": 0.3, "base_hold": 0.4, "base_buy": 0.3, "label": label}
    return pd.DataFrame({**columns, "ends_at": time + (horizon + 1) * HOUR}, index)


def truth(ranks: bool) -> dict[str, float]:
    """Figures of many independent rows: overlapping leaves what is true of one as it is."""
    rows = simulated(Case(LONG, 1), np.random.default_rng(1))
    outcomes = outcomes_of(rows, CLASSES, "1h")
    return {name: values[0] for name, values in _figures(rows, outcomes, 0, ranks).items()}


def held(case: Case, series: int, ranks: bool) -> Iterator[tuple[str, float, float]]:
    """By figure the share of intervals that hold the truth, as they are and not widened."""
    names = RANKS if ranks else MEANS
    true = truth(ranks)
    inside = np.zeros((2, len(names)))
    for seed in range(series):
        rows = simulated(case, np.random.default_rng([seed, case.rows, case.horizon]))
        outcomes = outcomes_of(rows, CLASSES, "1h")
        found = _figures(rows, outcomes, DRAWS, ranks)
        for k, widened in enumerate((outcomes.blocks.widening, 1.0)):
            for n, name in enumerate(names):
                low, high = interval(found[name], widened)
                inside[k, n] += low <= true[name] <= high
    yield from zip(names, *(inside / series).tolist(), strict=True)


def _figures(
    rows: pd.DataFrame, outcomes: Outcomes, draws: int, ranks: bool
) -> dict[str, np.ndarray]:
    told = replace(outcomes, blocks=replace(outcomes.blocks, draws=draws))
    probability = probabilities(rows, CLASSES)
    if ranks:
        return rank_figures(probability, told.against["brier_skill"], told)
    return mean_figures(probability, told)


def _moving(rows: int, horizon: int, rng: np.random.Generator) -> np.ndarray:
    """Sums of `horizon` standard normals in a row, scaled to deviation 1."""
    running = np.concatenate([[0.0], np.cumsum(rng.standard_normal(rows + horizon))])
    return (running[horizon + 1 :] - running[1 : rows + 1]) / np.sqrt(horizon)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.coverage")
    parser.add_argument("--series", type=int, default=1000)
    asked = parser.parse_args()
    print(f"Share of {asked.series:,} series whose 90 % interval holds the truth\n")
    print("| rows | horizon | figure | held | plain |\n|---|---|---|---|---|")
    for case in CASES:
        for ranks in (False, True):
            for name, share, plain in held(case, asked.series, ranks):
                told = f"| {case.rows} | {case.horizon} | {name} | {share:.1%} | {plain:.1%} |"
                print(told, flush=True)


if __name__ == "__main__":
    main()
