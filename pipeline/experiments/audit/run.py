"""Every check of one recipe: first what it is made of, then the markets it is tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.config import Record
from pipeline.configuration.choices import Choices
from pipeline.configuration.plan import Plan
from pipeline.errors import DataError
from pipeline.experiments.audit.causality import (
    CORRUPTED,
    TRUNCATED,
    Compute,
    compared,
    cuts_of,
    label_table,
    tables,
)
from pipeline.experiments.audit.check import Result
from pipeline.experiments.audit.markets import NOISE, draw
from pipeline.experiments.audit.plans import digest_of, market_plans, own_plan
from pipeline.experiments.audit.power import EDGE, Volume, judge_markets, planted, told
from pipeline.experiments.audit.serving import loaded, parity, refused
from pipeline.experiments.audit.training import calibrated, fit_folds, fitted, overlap
from pipeline.experiments.audit.trials import Judge
from pipeline.experiments.audit.workshop import Workshop
from pipeline.features.feature_set import FeatureSet
from pipeline.frames import key_by_market

SEED = 50_001
LATER = 400  # candles behind the warm-up that features and labels are compared on


class Audit(Record):
    """What an audit of a recipe came to; `full` tells its volume."""

    recipe: str
    models: tuple[str, ...]
    digest: str
    full: bool
    results: tuple[Result, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(result.passed is not False for result in self.results)


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose audit, how large, and on how many processes.

    `bars` are recorded candles of the recipe's market by time, if there are any.
    """

    choices: Choices
    conf: Path
    volume: Volume
    full: bool = False
    workers: int = 1
    bars: pd.DataFrame | None = None


def audit(asked: Asked, show: Callable[[str], None]) -> Audit:
    """Run every check; nothing is written, and nothing registered.

    Raises
    ------
    ConfigError
        When a choice names nothing.
    """
    plan = own_plan(asked.choices, asked.conf)
    show("features, labels and fits")
    results = [*_causal(plan, asked.volume), *_trained(plan, asked)]
    judge = Judge(market_plans(asked.choices, asked.conf), asked.volume.rows, asked.bars)
    show("markets")
    results += told(judge_markets(judge, asked.volume, asked.workers))
    return Audit(
        recipe=plan.run.recipe,
        models=tuple(dict.fromkeys(plan.run.models.values())),
        digest=digest_of(plan),
        full=asked.full,
        results=tuple(results),
    )


def _causal(plan: Plan, volume: Volume) -> list[Result]:
    """Features and labels beside what they are when the future is missing or corrupt."""
    work, rng = Workshop.of(plan), np.random.default_rng(SEED)
    made = list(_computed(work, plan.run.timeframe))
    longest = max(warm_up for _, _, warm_up in made)
    whole = draw(NOISE, longest + LATER, plan.run.timeframe, rng).candles
    candles = whole.drop(index=whole.index[len(whole) // 2])
    results = []
    for check, spoils in (("truncation", TRUNCATED), ("corruption", CORRUPTED)):
        found: dict[str, list[int]] = {}
        times = 0
        for name, compute, warm_up in made:
            cuts = cuts_of(warm_up, len(candles), volume.cuts)
            leaks = compared(compute, candles, cuts, spoils, rng)
            found |= {f"{name}: {column}": places for column, places in leaks.found.items()}
            times += leaks.compared
        seen = f"; {', '.join(list(found)[:3])}" if found else ""
        number = f"{len(found)} columns changed in {times} comparisons{seen}"
        results.append(Result(check=check, passed=not found, number=number))
    return results


def _computed(work: Workshop, timeframe: str) -> Iterator[tuple[str, Compute, int]]:
    """Every table that a plan computes from candles: its name, how, and its warm-up."""
    for name, node in work.tables.sets.items():
        features: FeatureSet = work.build(node, f"features={name}")
        for view, (own, compute) in tables(features, timeframe).items():
            yield f"{name} {view}", compute, own.warm_up
    for head in work.heads:
        yield f"label of {head}", label_table(work.label(head).compute, timeframe), 0


def _trained(plan: Plan, asked: Asked) -> Iterator[Result]:
    """What was fitted, and what is served, on a market with an edge; the first head that fails."""
    rng, work = np.random.default_rng(SEED + 1), Workshop.of(plan)
    candles = draw(planted(EDGE), asked.volume.rows, plan.run.timeframe, rng).candles
    found = _of_heads(work, candles, asked.volume, rng)
    yield from (_worst(list(each)) for each in zip(*found, strict=True))
    sets = [work.build(node, f"features={name}") for name, node in work.tables.sets.items()]
    yield _worst([parity(each, candles, asked.volume.moments) for each in sets])


def _of_heads(
    work: Workshop, candles: pd.DataFrame, volume: Volume, rng: np.random.Generator
) -> list[list[Result]]:
    """The checks of every head on the first candles; on all, where the split asks for more."""
    market = work.plan.run.market.members[0].name
    keyed = key_by_market(candles, market)
    try:
        first = keyed.iloc[: volume.fitted_rows]
        return [_of_head(work, head, first, rng) for head in work.heads]
    except DataError:
        if volume.fitted_rows >= len(keyed):
            raise
        return [_of_head(work, head, keyed, rng) for head in work.heads]


def _of_head(
    work: Workshop, head: str, candles: pd.DataFrame, rng: np.random.Generator
) -> list[Result]:
    samples = work.samples(head, candles)
    made = fit_folds(work, head, samples)
    return [
        overlap(made.task.folds, samples),
        fitted(made),
        calibrated(work, samples, made.raw),
        loaded(made.task.model, made.newest, samples),
        refused(made.newest, samples, rng),
    ]


def _worst(results: list[Result]) -> Result:
    """The first that failed, or the first; with several heads or sets, it says how many."""
    failed = next((each for each in results if each.passed is False), results[0])
    if len(results) == 1:
        return failed
    return failed.model_copy(update={"number": f"{failed.number}; {len(results)} looked at"})
