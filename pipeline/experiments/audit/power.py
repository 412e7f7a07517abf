"""Many markets of each law, and how many of them a recipe may and must promote."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pipeline.experiments.audit.check import Result
from pipeline.experiments.audit.markets import NOISE, TIMING, Law
from pipeline.experiments.audit.trials import RISK, TRADE, Judge, Judged, Trial
from pipeline.workers import spread

EDGE = 0.15  # correlation of the planted state with the return of the next candle
WEAKER = (0.10, 0.075, 0.05)
FIRST_SEED = {"noise": 1, "timing": 10_001, "bars": 20_001, "planted": 30_001, "shuffled": 40_001}
MOST = {"shuffled": 0.05, "noise": 0.05, "bars": 0.05, "timing": 0.04}  # shares promoted
FOUND_SHARE = 0.97  # of all markets of its law that a recipe is to find
UNLUCKY = 0.01  # chance that a recipe which finds just so many fails on those that were drawn
BLIND = "no head tells sell from buy, so the gate lets none trade"


@dataclass(frozen=True, slots=True)
class Volume:
    """How many markets of each law there are, and of how many candles.

    `fitted_rows` is how many of them the folds are fitted on that prove a property, not a rate.
    """

    noise: int
    bars: int
    timing: int
    planted: int
    weaker: int
    shuffled: int
    rows: int = 20_000
    cuts: int = 20
    moments: int = 200
    fitted_rows: int = 6_000


SHORT = Volume(noise=4, bars=2, timing=4, planted=4, weaker=0, shuffled=2)
FULL = Volume(
    noise=200,
    bars=50,
    timing=50,
    planted=50,
    weaker=20,
    shuffled=20,
    cuts=50,
    moments=1000,
    fitted_rows=20_000,
)


class Batch(NamedTuple):
    """Trials of one law under one name."""

    name: str
    trials: tuple[Trial, ...]


def batches(volume: Volume, judge: Judge) -> list[Batch]:
    """Which markets are judged: seeds are fixed, so that the outcome is always the same.

    Where no head tells sell from buy, no market can be promoted: then one of each law is judged.
    """
    risks = volume.timing if RISK in judge.plans else 0
    if not judge.directed:
        volume = replace(volume, noise=1, bars=1, timing=1, planted=1, weaker=0, shuffled=1)
    made = [
        _batch("shuffled", planted(EDGE), volume.shuffled),
        _batch("noise", NOISE, volume.noise),
        _batch("bars", None, volume.bars if judge.bars is not None else 0),
        _batch("timing", TIMING, volume.timing),
        _batch("risk", TIMING, risks, RISK),
        _batch("planted", planted(EDGE), volume.planted),
        *(_batch(f"planted {edge:g}", planted(edge), volume.weaker) for edge in WEAKER),
    ]
    return [batch for batch in made if batch.trials]


def planted(edge: float) -> Law:
    """The law of a market whose state foretells the next candle."""
    return Law(name="planted", edge=edge)


def judge_markets(judge: Judge, volume: Volume, workers: int) -> dict[str, list[Judged]]:
    """Judge every market, in as many processes as that is worth."""
    asked = batches(volume, judge)
    found = spread(judge, [trial for batch in asked for trial in batch.trials], workers).results
    places = np.cumsum([0, *(len(batch.trials) for batch in asked)])
    return {
        batch.name: found[start:stop]
        for batch, start, stop in zip(asked, places[:-1], places[1:], strict=True)
    }


def told(judged: dict[str, list[Judged]]) -> list[Result]:
    """What the markets came to, check by check."""
    made = [_nothing(name, judged[name], most) for name, most in MOST.items() if name in judged]
    if "risk" in judged:
        made.append(_something("risk", judged["risk"], [each.found for each in judged["risk"]]))
    for name, found in judged.items():
        if name.startswith("planted"):
            made.append(_planted(name, found))
    return made


def least_found(markets: int) -> int:
    """Fewest markets found that do not speak against a recipe that finds `FOUND_SHARE` of all.

    The count among markets drawn alone is binomial; less than this comes by bad luck with a
    probability of `UNLUCKY` at most, from two markets on. It is never 0, so that finding nothing
    always fails.

    Examples
    --------
    >>> [least_found(markets) for markets in (1, 2, 4, 10, 20, 50)]
    [1, 1, 3, 8, 17, 45]
    """
    unlucky, found = 0.0, 0
    while True:
        missed = (1 - FOUND_SHARE) ** (markets - found)
        unlucky += math.comb(markets, found) * FOUND_SHARE**found * missed
        if unlucky > UNLUCKY * (1 + 1e-9) or found == markets:
            return max(found, 1)
        found += 1


def _batch(name: str, law: Law | None, count: int, judge: str = TRADE) -> Batch:
    first = FIRST_SEED["timing" if judge == RISK else name.split(maxsplit=1)[0]]
    seeds = range(first, first + count)
    return Batch(name, tuple(Trial(law, seed, judge, name == "shuffled") for seed in seeds))


def _nothing(name: str, judged: Sequence[Judged], share: float) -> Result:
    promoted = sum(each.promoted for each in judged)
    if not promoted and not any(each.tells_direction for each in judged):
        return Result(check=name, passed=None, number=f"0 of {len(judged)} promoted: {BLIND}")
    most = max(int(share * len(judged)), 1)
    number = f"{promoted} of {len(judged)} promoted, at most {most}"
    return Result(check=name, passed=promoted <= most, number=number)


def _something(name: str, judged: Sequence[Judged], found: Sequence[bool]) -> Result:
    count, least = sum(found), least_found(len(judged))
    number = f"{count} of {len(judged)} found, at least {least}"
    return Result(check=name, passed=count >= least, number=number)


def _planted(name: str, judged: Sequence[Judged]) -> Result:
    edges = [each.known for each in judged if each.known]
    candle, label, sharpe = (
        float(np.mean([getattr(edge, part) for edge in edges]))
        for part in ("candle", "label", "sharpe")
    )
    size = (
        f"information coefficient {candle:.3f} for a candle, {label:.2f} for the label, "
        f"Sharpe {sharpe:.1f} after costs"
    )
    found = [each.promoted for each in judged]
    if not any(each.tells_direction for each in judged):
        return Result(check=name, passed=None, number=f"{BLIND}; {size}")
    if name != "planted":
        return Result(
            check=name, passed=None, number=f"{sum(found)} of {len(judged)} found; {size}"
        )
    result = _something(name, judged, found)
    return result.model_copy(update={"number": f"{result.number}; {size}"})
