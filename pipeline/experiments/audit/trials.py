"""One market of a known law judged in this process: candles, features, labels, folds, gate.

Nothing is read from a disk and nothing is registered: what runs are the functions of the stages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.configuration.plan import Plan
from pipeline.evaluation.evidence import evidence_of, judge_alone
from pipeline.evaluation.metrics import MOVES, Scores, mean_over_heads, score_head
from pipeline.experiments.audit.markets import Law, draw, shuffled_blocks
from pipeline.experiments.audit.oracle import Known, known_of
from pipeline.experiments.audit.workshop import predicted
from pipeline.frames import key_by_market
from pipeline.market.candles import duration
from pipeline.market.pool import AnyMarket
from registry.conditions import GateConfig

TRADE, RISK = "trade", "risk"
BLOCK = 24  # recorded bars that stay together
OF_TRADING = ("direction_skill", "direction_effective_rows")  # conditions of a gate that trades


@dataclass(frozen=True, slots=True)
class Trial:
    """A market to be drawn and who judges it; `law` None takes recorded bars, shuffled.

    With `permuted` each week has the labels of another.
    """

    law: Law | None
    seed: int
    judge: str = TRADE
    permuted: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one market; `skill` is of direction, where a head tells it."""

    verdict: str
    failed: tuple[str, ...]
    skill: float
    skill_low: float
    effective_rows: float
    known: Known | None = None

    @property
    def promoted(self) -> bool:
        """Whether it would trade."""
        return self.verdict == "promote"

    @property
    def found(self) -> bool:
        """Whether all is shown but what only a trading head has to show."""
        return self.verdict != "refuse" and not {*self.failed} - {*OF_TRADING}

    @property
    def tells_direction(self) -> bool:
        """Whether a head tells sell from buy, without which a gate never lets it trade."""
        return math.isfinite(self.skill)


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges markets by the plans of a recipe: a trading one, and one of risk.

    `rows` are the candles of a market alone. Members of a pool have rows / sqrt(members) each: what
    they say of one moment counts as one, so shares of the candles would be worth too little.
    """

    plans: dict[str, Plan]
    rows: int
    bars: pd.DataFrame | None = None

    @property
    def directed(self) -> bool:
        """Whether a head tells sell from buy, and from something between."""
        heads = self.plans[TRADE].stages["train"]["heads"].values()
        return any({*MOVES} < {*head["classes"]} for head in heads)

    def __call__(self, trial: Trial) -> Judged:
        """Draw one market and judge it."""
        plan = self.plans[trial.judge]
        candles, known = self._market(plan.run.market, plan.run.timeframe, trial)
        joined, classes = predicted(plan, candles, trial.seed if trial.permuted else None)
        scores = {
            name: score_head(rows, classes[name], plan.run.timeframe)
            for name, rows in joined.items()
        }
        ahead = _horizon(joined, plan.run.timeframe)
        return judged(scores, classes, plan.run.gate, known and known(ahead))

    def size(self, trial: Trial) -> float:
        """All markets are of one length."""
        return float(len(self.plans[trial.judge].stages["train"]["heads"]))

    def stays(self, trial: Trial) -> bool:  # noqa: ARG002
        """Figures travel."""
        return False

    def _market(self, market: AnyMarket, timeframe: str, trial: Trial) -> tuple[pd.DataFrame, Any]:
        rng = np.random.default_rng([trial.seed, len(market.members)])
        rows = int(self.rows / math.sqrt(len(market.members)))
        if trial.law is None:
            assert self.bars is not None
            bars = shuffled_blocks(self.bars, rows, BLOCK, rng)
            return key_by_market(bars, market.members[0].name), None
        drawn = [draw(trial.law, rows, timeframe, rng) for _ in market.members]
        names = [member.name for member in market.members]
        frames = [
            key_by_market(made.candles, name) for made, name in zip(drawn, names, strict=True)
        ]
        return pd.concat(frames), known_of(drawn[0], market.members[0], timeframe)


def judged(
    scores: dict[str, Scores],
    classes: dict[str, tuple[str, ...]],
    gate: GateConfig,
    known: Known | None = None,
) -> Judged:
    """What a gate makes of a candidate by itself: the one place of an audit that asks it."""
    numbers = [len(names) for names in classes.values()]
    evidence = evidence_of(scores, mean_over_heads(scores), numbers, chronological=True)
    told = judge_alone(evidence, gate)
    missing = float("nan")
    return Judged(
        verdict=told["verdict"],
        failed=tuple(each["name"] for each in told["conditions"] if not each["passed"]),
        skill=missing if evidence.direction_skill is None else evidence.direction_skill,
        skill_low=missing if evidence.direction_skill_low is None else evidence.direction_skill_low,
        effective_rows=evidence.effective_rows,
        known=known,
    )


def _horizon(joined: dict[str, pd.DataFrame], timeframe: str) -> int:
    """Candles from the close of a row's candle to the end of the longest label."""
    step = duration(timeframe)
    longest = max(
        (rows["ends_at"] - pd.DatetimeIndex(rows.index.get_level_values("time"))).median()
        for rows in joined.values()
    )
    return max(int(longest / step) - 1, 1)
