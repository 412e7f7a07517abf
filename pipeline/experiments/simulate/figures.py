"""What a simulation found: figures, words and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluation.backtest.figures import drawdowns
from pipeline.experiments.simulate.losses import MEASURES, Losses
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
from pipeline.experiments.simulate.rivals import MONEY, Rival, plainly
from pipeline.experiments.simulate.staleness import Aged

SILENT = "no probability reached its threshold"
RIVALS = (FIRST, NEWEST, HOLD, FLAT)
SHOWN = (GATED, ALLOWED, FIRST, NEWEST, HOLD, FLAT)


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
        words = ", ".join(plainly(*each) for each in self.rivals[0].words.items())
        said = f"Retraining every {self.every} with the gate, against {TITLES[FIRST]}: {words}"
        if not self.traded:
            return f"{said}. Nothing was traded: {self.money.why_not or SILENT}."
        flat = plainly(MONEY, self.rivals[-1].words[MONEY])
        came = float(self.money.equity[GATED].iloc[-1]) - 1.0
        return f"{said}; against {TITLES[FLAT]}: {flat}. After costs it came to {came:+z.2%}."

    @property
    def traded(self) -> bool:
        """Whether any model's signals came to a trade."""
        return not self.money.why_not and any(
            each.result is not None and each.result.first.figures["trades"]
            for each in self.money.tradings.values()
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
            "rivals": {each.name: each.facts() for each in self.rivals},
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


def _sharpe(daily: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    spread = float(daily.std(ddof=1)) if len(daily) > 1 else 0.0
    return float(daily.mean() / spread * np.sqrt(365.25)) if spread > 0 else None
