"""The gate walked over the candidates of a simulation, one turn after the other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.code_digest import code_of
from pipeline.errors import DataError
from pipeline.evaluation.backtest import Setup
from pipeline.evaluation.comparison import NO_ROWS, OutOfFold, after, compare
from pipeline.evaluation.evidence import certifications, evidence_of
from pipeline.evaluation.likeness import likeness
from pipeline.evaluation.metrics import mean_over_heads
from pipeline.evaluation.money_comparison import common_moments, compare_money, spoken
from pipeline.experiments.simulate.answering import Answering, Answers, Asked
from pipeline.experiments.simulate.fitting import STAMP, FittedTurn
from pipeline.experiments.simulate.folders import SHORT
from pipeline.experiments.simulate.gate import Candidate, Decision, Mode, judged
from pipeline.market.candles import duration
from registry.conditions import GateConfig
from registry.evidence import ChampionEvidence, Evidence, MoneyEvidence
from registry.files import sha256, write_atomic

FOLDER = "decisions"
LOOKED_BACK = pd.Timedelta(days=90)
MARKET_AND_TIME = 2
Heads = Mapping[str, OutOfFold]


@dataclass(frozen=True, slots=True)
class Judging:
    """What decides: the gate, how money is made, and the candles that it is made on."""

    gate: GateConfig
    setup: Setup
    candles: pd.DataFrame
    answering: Answering
    folder: Path

    @property
    def digest(self) -> str:
        """Digest of all that a decision follows from but the models and the candles."""
        code = code_of([__name__], self.answering.procedure.plugins)
        told = {
            "code": code.digest,
            "gate": self.gate.model_dump(mode="json"),
            "profile": self.setup.profile.model_dump(mode="json"),
            "market": self.setup.market.model_dump(mode="json"),
        }
        return sha256(json.dumps(told, sort_keys=True).encode())


def decide(judging: Judging, fitted: Sequence[FittedTurn]) -> list[Decision]:
    """Judge every candidate against the champion of its moment; what was decided is kept.

    The champion answers until the next turn, and its answers are what it is compared by where no
    out-of-fold row is common to both.
    """
    known, decided = judging.digest, list[Decision]()
    for candidate in fitted:
        known = sha256(f"{known} {candidate.file.name}".encode())
        name = f"{candidate.turn.as_of:{STAMP}}-{known[:SHORT]}.json"
        file = judging.folder / FOLDER / name
        if not file.is_file():
            made = _decision(judging, candidate, fitted, decided)
            write_atomic(file, json.dumps(asdict(made), indent=1).encode() + b"\n")
        decided.append(Decision(**json.loads(file.read_text())))
    return decided


def answers_of_champion(answering: Answering, turn: FittedTurn, champion: FittedTurn) -> Answers:
    """What a champion said of a turn's candles; asked once, then read."""
    asked = Asked(turn.turn, (champion,))
    if not answering.file(asked).is_file():
        answering(asked)
    return answering.read(asked)


def _decision(
    judging: Judging,
    candidate: FittedTurn,
    fitted: Sequence[FittedTurn],
    decided: Sequence[Decision],
) -> Decision:
    before = decided[-1] if decided else Decision(-1, "", "", None, None)
    number = candidate.turn.number
    if candidate.why_not:
        stays = (before.champion, before.mode)
        return Decision(number, "failed", f"No candidate: {candidate.why_not}", *stays)
    evidence = _evidence(judging, candidate, fitted, before)
    test = Candidate(candidate.turn.version, candidate.turn.as_of.isoformat())
    verdict, draw = judged(evidence, judging.gate, test, decided)
    champion, mode = before.champion, before.mode
    if verdict.outcome != "refuse":
        champion, mode = number, "trade" if verdict.outcome == "promote" else "observe"
    return Decision(number, verdict.outcome, verdict.sentence, champion, mode, draw)


def _evidence(
    judging: Judging, candidate: FittedTurn, fitted: Sequence[FittedTurn], before: Decision
) -> Evidence:
    against = None
    if before.champion is not None:
        against = _against(judging, candidate, fitted, (before.champion, before.mode or "observe"))
    classes = [len(names) for names in judging.answering.procedure.classes.values()]
    flat = mean_over_heads(candidate.scores)
    found = evidence_of(candidate.scores, flat, classes, candidate.chronological, against)
    return found.model_copy(update={"certified": certifications(candidate.heads)})


def _against(
    judging: Judging,
    candidate: FittedTurn,
    fitted: Sequence[FittedTurn],
    standing: tuple[int, Mode],
) -> ChampionEvidence:
    champion, ours = fitted[standing[0]], candidate.out_of_fold()
    theirs: Heads = champion.out_of_fold()
    timeframe = judging.setup.timeframe
    found = compare(ours, theirs, timeframe)
    if found.why_not == NO_ROWS:
        theirs = _later(judging.answering, candidate, fitted, champion)
        found = compare(ours, theirs, timeframe)
    return ChampionEvidence(
        version=champion.turn.version,
        mode=standing[1],
        **asdict(found),
        money=_money(judging, ours, theirs),
        likeness=likeness(ours, theirs),
    )


def _later(
    answering: Answering,
    candidate: FittedTurn,
    fitted: Sequence[FittedTurn],
    champion: FittedTurn,
) -> Heads:
    """The champion's own answers at the candidate's out-of-fold rows.

    Rows of trades, and labels that a model learned, are left out: what happened there is not the
    same for both.
    """
    turns = fitted[champion.turn.number : candidate.turn.number]
    answered = [answers_of_champion(answering, turn, champion) for turn in turns]
    told = [each for each in answered if not each.why_not]
    return {
        head: _answered(champion, head, rows, told)
        for head, rows in candidate.out_of_fold().items()
    }


def _answered(
    champion: FittedTurn, head: str, rows: OutOfFold, answered: Sequence[Answers]
) -> OutOfFold:
    as_of, number = champion.turn.as_of, champion.turn.number
    happened = after(rows, as_of).frame[["label", "ends_at"]]
    left_out = champion.heads[head]["rule"] is not None or happened.index.nlevels > MARKET_AND_TIME
    if left_out or not answered:
        empty = happened.iloc[:0].assign(**{f"p_{name}": np.empty(0) for name in rows.classes})
        return OutOfFold(empty, rows.classes, rows.label, as_of)
    said = pd.concat([each.frame(number, head, rows.classes) for each in answered])
    return OutOfFold(happened.join(said, how="inner"), rows.classes, rows.label, as_of)


def _money(judging: Judging, ours: Heads, theirs: Heads) -> MoneyEvidence:
    """What both come to; by the heads alone that both have rows of."""
    ours, theirs = spoken(ours, theirs)
    times, setup = common_moments(ours, theirs, judging.setup.market.name), judging.setup
    candles = judging.candles
    if len(times):
        candles = candles.loc[times[0] - LOOKED_BACK : times[-1] + duration(setup.timeframe)]
    try:
        return compare_money(ours, theirs, candles, setup)
    except DataError as error:
        return MoneyEvidence(comparable=False, why_not=error.what)
