"""Who answers in each turn: the policies that a simulation holds against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.experiments.simulate.answering import Answers
from pipeline.experiments.simulate.fitting import FittedTurn
from pipeline.experiments.simulate.gate import Decision

GATED, FIRST, NEWEST, ALLOWED = "gated", "first", "newest", "allowed"
HOLD, FLAT = "buy_and_hold", "always_flat"
TITLES = {
    GATED: "retraining with the gate",
    FIRST: "never retraining",
    NEWEST: "retraining without a gate",
    ALLOWED: "the same, trading only while the gate lets it",
    HOLD: "buying and holding",
    FLAT: "staying out",
}
AGES = (0, 1, 2, 4, 8, 16, 32)  # turns since a model was made
Served = tuple[int | None, ...]  # number of the turn whose model answers, for each turn


@dataclass(frozen=True, slots=True)
class Turns:
    """The fitted turns, what the gate decided of each, and the answers by turn."""

    fitted: Sequence[FittedTurn]
    decided: Sequence[Decision]
    answers: Mapping[int, Sequence[Answers]]

    def served(self) -> dict[str, Served]:
        """Whose model answers in each turn, by policy."""
        champions = tuple(decision.champion for decision in self.decided)
        allowed = tuple(
            decision.champion if decision.mode == "trade" else None for decision in self.decided
        )
        numbers = range(len(self.fitted))
        return {
            GATED: champions,
            FIRST: tuple(first(self.fitted, number) for number in numbers),
            NEWEST: tuple(newest(self.fitted, number) for number in numbers),
            ALLOWED: allowed,
        }

    def answered(self, turn: int, model: int | None) -> Answers | None:
        """The answers that hold what a model said of a turn's candles; None where it was silent."""
        return next((each for each in self.answers[turn] if model in each.models), None)

    def some(self, turn: int) -> Answers | None:
        """Any answers about a turn's candles, for their rows."""
        return next((each for each in self.answers[turn] if each.models), None)


def asked_of(fitted: Sequence[FittedTurn], turn: int) -> tuple[FittedTurn, ...]:
    """The models that are asked about a turn's candles whatever the gate says, the oldest first."""
    wanted = {turn - age for age in AGES} | {first(fitted, turn), newest(fitted, turn)}
    return tuple(
        each for each in fitted[: turn + 1] if each.turn.number in wanted and not each.why_not
    )


def first(fitted: Sequence[FittedTurn], turn: int) -> int | None:
    """Number of the first model there is at a turn."""
    return next(_made(fitted[: turn + 1]), None)


def newest(fitted: Sequence[FittedTurn], turn: int) -> int | None:
    """Number of the newest model there is at a turn."""
    return next(_made(fitted[turn::-1]), None)


def _made(fitted: Sequence[FittedTurn]) -> Iterator[int]:
    return (each.turn.number for each in fitted if not each.why_not)
