"""A simulation from beginning to end: fit, judge, answer, compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.configuration.plan import Plan
from pipeline.errors import DataError
from pipeline.evaluation.backtest import Setup
from pipeline.experiments.simulate.answering import Answering, Answers, Asked
from pipeline.experiments.simulate.figures import RIVALS, Simulated
from pipeline.experiments.simulate.fitting import FittedTurn, Fitting
from pipeline.experiments.simulate.folders import open_folder
from pipeline.experiments.simulate.gate import Decision
from pipeline.experiments.simulate.history import History
from pipeline.experiments.simulate.losses import Losses
from pipeline.experiments.simulate.money import earned
from pipeline.experiments.simulate.policies import FIRST, GATED, NEWEST, Turns, asked_of
from pipeline.experiments.simulate.procedure import Procedure
from pipeline.experiments.simulate.promotions import Judging, answers_of_champion, decide
from pipeline.experiments.simulate.rivals import rival
from pipeline.experiments.simulate.schedule import Turn
from pipeline.experiments.simulate.scoring import Outcomes, Scoring
from pipeline.experiments.simulate.staleness import staleness
from pipeline.frames import key_by_market
from pipeline.market.candles import duration
from pipeline.workers import spread

DAY = pd.Timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Given:
    """What a simulation starts from; `execution` are the candles that orders are filled on."""

    plan: Plan
    every: str
    turns: Sequence[Turn]
    history: History
    execution: pd.DataFrame
    setup: Setup
    home: Path
    workers: int
    show: Callable[[str], None]


def simulate(given: Given) -> Simulated:
    """Replay the schedule; what was made before with the same candles and code is not made again.

    Raises
    ------
    DataError
        When no retrain came to a model, or the candles cannot be labelled.
    """
    procedure = Procedure.of(given.plan)
    told = {"slot": str(given.plan.run.slot), "stages": dict(procedure.stages)}
    folder = open_folder(given.home, procedure.digest, told)
    fitting = Fitting(procedure, given.history, folder, given.show)
    missing = [turn for turn in given.turns if not fitting.file(turn).is_file()]
    spread(fitting, missing, given.workers)
    fitted = [fitting.read(turn) for turn in given.turns]
    _require_some(fitted)
    answering = Answering(procedure, given.history, folder, given.show)
    asked = [Asked(each.turn, asked_of(fitted, each.turn.number)) for each in fitted]
    unasked = [each for each in asked if not answering.file(each).is_file()]
    spread(answering, unasked, given.workers)
    given.show("judging")
    judging = Judging(given.plan.run.gate, given.setup, given.execution, answering, folder)
    decided = decide(judging, fitted)
    answers = {each.turn.number: _answers(answering, each, fitted, decided) for each in asked}
    given.show("comparing")
    outcomes = outcomes_of(procedure, given.history)
    return _compared(given, Turns(fitted, decided, answers), outcomes, (len(missing), folder))


def _require_some(fitted: Sequence[FittedTurn]) -> None:
    if all(each.why_not for each in fitted):
        raise DataError(
            "no retrain of the simulation came to a model",
            found=f"of the newest: {fitted[-1].why_not}",
            fix="begin later, where more candles lie before, or correct what it says",
        )


def _answers(
    answering: Answering,
    asked: Asked,
    fitted: Sequence[FittedTurn],
    decided: Sequence[Decision],
) -> list[Answers]:
    """Those of every model that was asked, and of the champion where it is another one."""
    number = asked.turn.number
    champion = decided[number].champion
    found = [answering.read(asked)]
    known = {model.turn.number for model in asked.models}
    if champion is not None and champion not in known:
        found.append(answers_of_champion(answering, fitted[number], fitted[champion]))
    return found


def _compared(
    given: Given, turns: Turns, outcomes: Mapping[str, Outcomes], work: tuple[int, Path]
) -> Simulated:
    horizon, served = _horizon(given, outcomes), turns.served()
    found = _losses(turns, Scoring.of(outcomes, given.plan.plugins, work[1]))

    def losses_of(turn: int, model: int) -> Losses:
        return found[turn].get(model, Losses())

    scored = {
        name: Losses.joined(
            losses_of(turn, model) for turn, model in enumerate(served[name]) if model is not None
        )
        for name in (GATED, FIRST, NEWEST)
    }
    money = earned(turns, outcomes, given.execution, given.setup)
    return Simulated(
        slot=str(given.plan.run.slot),
        every=given.every,
        turns=turns,
        served=served,
        losses=scored,
        money=money,
        rivals=[rival(name, scored, money, horizon) for name in RIVALS],
        aged=staleness(turns, losses_of, horizon),
        made=work[0],
        folder=work[1],
    )


def _losses(turns: Turns, scoring: Scoring) -> dict[int, dict[int, Losses]]:
    """Of each turn, what every model that was asked lost."""
    return {
        number: {
            model: losses
            for answers in each
            for model, losses in scoring.of_turn(answers, turns.fitted).items()
        }
        for number, each in turns.answers.items()
    }


def outcomes_of(procedure: Procedure, history: History) -> dict[str, Outcomes]:
    """What happened, head by head, as far as the candles tell."""
    labelled = procedure.labels(key_by_market(history.candles, history.market))
    return {name: Outcomes(labelled[name], classes) for name, classes in procedure.classes.items()}


def _horizon(given: Given, outcomes: Mapping[str, Outcomes]) -> int:
    """Days that the outcome of one signal may reach over: its label's, or its position's."""
    step = duration(given.plan.run.timeframe)
    ahead = [
        (own.frame["ends_at"] - own.frame.index.get_level_values("time")).max() - step
        for own in outcomes.values()
    ]
    holding = pd.Timedelta(minutes=given.setup.profile.holding_minutes or 0)
    return max(int(-(-max([holding, *ahead]) // DAY)), 1)
