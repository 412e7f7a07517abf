"""What a simulation found: figures, words and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluation.backtest.figures import drawdowns
from pipeline.experiments.simulate.losses import MEASURES, Gap, Losses
from pipeline.experiments.simulate.money import Earned
from pipeline.experiments.simulate.policies import (
    ALLOWED,
    FIRST,
    FLAT,
    GATED,
    HOLD,
    NEWEST,
    TITLES,
    Served,
    Turns,
)
from pipeline.experiments.simulate.staleness import Aged
from registry.evidence import FEW_DAYS, MoneyEvidence

RIVALS = (FIRST, NEWEST, HOLD, FLAT)
SPOKEN = {"log_loss": "log loss", "direction": "direction"}
SAME, MONEY = "the same", "money"
SHOWN = (GATED, FIRST, NEWEST, ALLOWED, HOLD, FLAT)


@dataclass(frozen=True, slots=True)
class Rival:
    """Retraining with the gate held against another policy.

    `losses` has its mean loss less the other's by measure, nothing where one of the two tells none.
    """

    name: str
    money: MoneyEvidence
    losses: Mapping[str, Gap]

    @property
    def words(self) -> dict[str, str]:
        """Better, undecidable, worse or the same, by measure."""
        found = {
            SPOKEN[name]: SAME if gap.nothing else gap.word for name, gap in self.losses.items()
        }
        same = self.money.comparable and not self.money.differing_days
        return found | {MONEY: SAME if same else self.money.word}

    @property
    def sentence(self) -> str:
        """The verdict by every measure, with its figures."""
        parts = [f"by {SPOKEN[name]} {_of_gap(gap)}" for name, gap in self.losses.items()]
        return f"Against {TITLES[self.name]} it is {', '.join([*parts, self._money()])}."

    def _money(self) -> str:
        found = self.money
        if not found.comparable:
            return f"by money undecidable ({found.why_not.rstrip('.')})"
        if not found.differing_days:
            return f"by money the same ({found.candidate_return:+z.2%} on {found.days} days)"
        return (
            f"by money {found.word} ({found.candidate_return:+z.2%} and "
            f"{found.champion_return:+z.2%} on {found.days} days, {found.daily_difference:+z.3%} a "
            f"day, {found.low:+z.3%} to {found.high:+z.3%}{_too_few(found.differing_days)})"
        )


def rival(name: str, scored: Mapping[str, Losses], money: Earned, horizon: int) -> Rival:
    """Hold retraining with the gate against another policy."""
    gaps = {}
    if name in scored:
        found = {each: scored[GATED].to(scored[name], each, horizon) for each in MEASURES}
        gaps = {each: gap for each, gap in found.items() if gap is not None}
    return Rival(name, money.against(name, horizon), gaps)


@dataclass(frozen=True, slots=True)
class Simulated:
    """Everything that a simulation found.

    `losses` are those of the policies that answer, `made` is how many turns were retrained now
    and not read from `folder`.
    """

    slot: str
    every: str
    turns: Turns
    served: Mapping[str, Served]
    losses: Mapping[str, Losses]
    money: Earned
    rivals: Sequence[Rival]
    aged: Sequence[Aged]
    made: int
    folder: Path

    @property
    def verdict(self) -> str:
        """What retraining was worth against not doing it, and against not trading."""
        words = ", ".join(f"by {name} {word}" for name, word in self.rivals[0].words.items())
        flat = self.rivals[-1].words[MONEY]
        return (
            f"Retraining every {self.every} with the gate, against {TITLES[FIRST]}: {words}; "
            f"against {TITLES[FLAT]}: by {MONEY} {flat}."
        )

    @property
    def allowed_turns(self) -> int:
        """Turns in which the gate let the model in service trade."""
        return sum(model is not None for model in self.served[ALLOWED])

    def facts(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        fitted = self.turns.fitted
        return {
            "slot": self.slot,
            "every": self.every,
            "from": fitted[0].turn.as_of.isoformat(),
            "to": fitted[-1].turn.until.isoformat(),
            "retrained_now": self.made,
            "folder": str(self.folder),
            "verdict": self.verdict,
            "policies": {name: self._policy(name) for name in SHOWN},
            "rivals": {each.name: _rival_facts(each) for each in self.rivals},
            "staleness": [asdict(each) for each in self.aged],
            "allowed_turns": self.allowed_turns,
            "turns": [self._turn(number) for number in range(len(fitted))],
        }

    def _policy(self, name: str) -> dict[str, Any]:
        told: dict[str, Any] = {"title": TITLES[name]}
        if name in self.money.equity:
            equity = self.money.equity[name].to_numpy("float64")
            told |= {
                "return": float(equity[-1] - 1.0),
                "drawdown": float(drawdowns(equity).max()),
                "sharpe": _sharpe(self.money.daily[name]),
            }
        if name in self.money.tradings and (result := self.money.tradings[name].result):
            told["trades"] = result.first.figures["trades"]
        if name in self.losses:
            own = self.losses[name]
            told |= {each: own.mean(each) for each in MEASURES}
            told |= {f"usual_{each}": own.usual().mean(each) for each in MEASURES}
        return told

    def _turn(self, number: int) -> dict[str, Any]:
        fitted, decided = self.turns.fitted[number], self.turns.decided[number]
        return {
            "version": fitted.turn.version,
            "as_of": fitted.turn.as_of.isoformat(),
            "until": fitted.turn.until.isoformat(),
            "outcome": decided.outcome,
            "sentence": decided.sentence,
            "champion": None
            if decided.champion is None
            else self.turns.fitted[decided.champion].turn.version,
            "mode": decided.mode,
            "candles": fitted.rows,
            "scores": fitted.scores if not fitted.why_not else {},
            "file": fitted.file.name,
        }


def _rival_facts(found: Rival) -> dict[str, Any]:
    return {
        "sentence": found.sentence,
        "money": found.money.model_dump(mode="json") | {"word": found.money.word},
        "losses": {name: asdict(gap) | {"word": gap.word} for name, gap in found.losses.items()},
    }


def _of_gap(gap: Gap) -> str:
    if gap.nothing:
        return f"the same ({gap.ours:.4f} a row)"
    return (
        f"{gap.word} ({gap.value:+z.4f} a row, with 90 % confidence {gap.low:+z.4f} to "
        f"{gap.high:+z.4f}{_too_few(gap.days)})"
    )


def _too_few(days: int) -> str:
    """Why nothing is decided yet."""
    return "" if days >= FEW_DAYS else f"; {days} days tell, {FEW_DAYS} are needed"


def _sharpe(daily: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    spread = float(daily.std(ddof=1)) if len(daily) > 1 else 0.0
    return float(daily.mean() / spread * np.sqrt(365.25)) if spread > 0 else None
