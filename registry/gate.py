"""The gate: whether a candidate may become champion, and in which mode.

The registry compares evidence that others computed; it never looks at predictions itself. A
*refresh* of a champion that trades has to be sound and to say much the same; whatever else may
lead to trading is a test of skill against luck, which draws a portion of the slot's yearly error.
"""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from registry.against import (
    can_be_held_against,
    decided,
    not_compared,
    not_eroded,
    not_older,
    not_worse,
)
from registry.budget import Asked, Fleet, Offer, level_of
from registry.conditions import (
    Condition,
    GateConfig,
    brier_skill,
    chronological,
    direction,
    effective_rows,
    finite,
    moves,
    number,
    portion,
)
from registry.draws import Kind
from registry.evidence import ChampionEvidence, Evidence
from registry.improving import improvements
from registry.lineage import Chain
from registry.refreshing import alike, certified, gone
from registry.sentences import Answers, Outcome, demotion, outcome_of, trades

_STRICT = ConfigDict(frozen=True, extra="forbid")


class Standing(NamedTuple):
    """Where a candidate stands in its slot, at which level it is tested, and what was lost."""

    asked: Asked
    offer: Offer
    chain: Chain | None = None

    @classmethod
    def alone(cls, config: GateConfig) -> Standing:
        """The first test of the only slot: a whole portion."""
        level = level_of(config, Fleet(), batch=1)
        return cls(Asked("", "first", ""), Offer(level=level, portions_left=config.portions))


class Verdict(BaseModel):
    """What becomes of the candidate, in one sentence, and every condition behind it.

    `level` is what `p`, the larger one of its skills, was held to; `drawn` says that the test cost
    a portion, of which `portions_left` are left until `due`. None of these is told of a refresh
    that was not tested. `demotes` says that a champion that trades is observed from now on.
    """

    model_config = _STRICT

    outcome: Outcome
    sentence: str
    conditions: tuple[Condition, ...]
    kind: Kind
    differs: str | None = None
    level: float | None = None
    p: float | None = None
    drawn: bool = False
    portions_left: int | None = None
    due: str | None = None
    demotes: bool = False

    @property
    def test(self) -> dict[str, str | float | None]:
        """What was tested, and what it cost."""
        return {name: getattr(self, name) for name in _TEST}


def judge(evidence: Evidence, config: GateConfig, standing: Standing | None = None) -> Verdict:
    """Decide what becomes of a candidate.

    Figures that are not finite, a candidate that knows less of the past than the champion, one
    that is clearly worse, or worse than the best champion ever by too much: refuse. Scores of
    models that were trained on later candles too, too few independent rows, no portion of the
    yearly error, or no skill at the level of one: observe (signals, no decisions). Otherwise
    promote. A champion that trades gives way only to a refresh that says much the same, or to a
    change that is shown to be better; to a refresh without skill it gives way to be observed.

    Parameters
    ----------
    standing
        None for a candidate that is judged by itself, without a slot.

    Examples
    --------
    >>> evidence = Evidence(finite=True, effective_rows=12, brier_skill=0.1, brier_skill_low=0.02,
    ...                     brier_skill_p=0.001, direction_skill=0.1, direction_skill_low=0.01,
    ...                     direction_skill_p=0.001, balanced_accuracy=0.4, classes=3)
    >>> judge(evidence, GateConfig()).outcome
    'observe'
    """
    standing = standing or Standing.alone(config)
    champion = evidence.champion
    if champion is not None and champion.mode == "trade" and standing.asked.kind == "refresh":
        return _refreshed(evidence, champion, config, standing)
    return _tested(evidence, config, standing)


def _tested(evidence: Evidence, config: GateConfig, standing: Standing) -> Verdict:
    champion, offer = evidence.champion, standing.offer
    own_score = trades(champion) and evidence.direction_skill is None
    fixed = _sound(evidence, config)
    tests = [portion(offer.portions_left, offer.due, config), brier_skill(evidence, offer.level)]
    tests += [] if own_score else [direction(evidence, offer.level)]
    stops = [finite(evidence)]
    if champion is not None:
        why_not = not_compared(champion, config)
        stops += _against(champion, config, why_not, standing.chain)
        if not why_not and all(stop.passed for stop in stops):
            tests.append(decided(champion, config))
        if trades(champion):
            fixed.append(can_be_held_against(why_not))
            tests += improvements(evidence, champion, offer.level)
    told = tests if offer.due is None else tests[:1]
    outcome, sentence = outcome_of(Answers(stops, [*fixed, *told]), evidence, standing.asked)
    drawn = offer.due is None and not offer.repeated and _testable(evidence, [stops[0], *fixed])
    known = [p for p in (evidence.brier_skill_p, evidence.direction_skill_p) if p is not None]
    return Verdict(
        outcome=outcome,
        sentence=sentence,
        conditions=(stops[0], *fixed, *tests, *stops[1:]),
        kind=standing.asked.kind,
        differs=standing.asked.differs or None,
        level=offer.level,
        p=number(max(known)) if known else None,
        drawn=drawn,
        portions_left=offer.portions_left - drawn,
        due=offer.due,
    )


def _testable(evidence: Evidence, asked: list[Condition]) -> bool:
    """Whether all holds that luck has no part in, so that a test could let the slot trade."""
    champion = evidence.champion
    directed = evidence.direction_skill is not None or trades(champion)
    knows_less = champion is not None and champion.is_newer
    return directed and not knows_less and all(each.passed for each in asked)


def _refreshed(
    evidence: Evidence, champion: ChampionEvidence, config: GateConfig, standing: Standing
) -> Verdict:
    why_not = not_compared(champion, config)
    stops = [finite(evidence), *_against(champion, config, why_not, standing.chain)]
    sound = _sound(evidence, config)
    skilled = _still_skilled(evidence)
    same = [can_be_held_against(why_not)]
    same += [] if why_not else [decided(champion, config)]
    same += [*alike(champion, config), *certified(evidence, config)]
    demotes = not skilled.passed and all(each.passed for each in (*stops, *sound))
    answers = Answers(stops, [*sound, skilled, *same])
    outcome, sentence = outcome_of(answers, evidence, standing.asked)
    if demotes:
        outcome, sentence = "observe", demotion(champion.version, skilled)
    return Verdict(
        outcome=outcome,
        sentence=sentence,
        conditions=(stops[0], *sound, skilled, *same, *stops[1:]),
        kind=standing.asked.kind,
        portions_left=standing.offer.portions_left,
        demotes=demotes,
    )


def _sound(evidence: Evidence, config: GateConfig) -> list[Condition]:
    return [chronological(evidence), effective_rows(evidence, config), *moves(evidence, config)]


def _against(
    champion: ChampionEvidence, config: GateConfig, why_not: str, chain: Chain | None
) -> list[Condition]:
    found = [not_older(champion), not_worse(champion, config, why_not)]
    return [*found, not_eroded(champion, chain, config)] if chain and not why_not else found


def _still_skilled(evidence: Evidence) -> Condition:
    lost = gone(evidence)
    skills = [s for s in (evidence.brier_skill, evidence.direction_skill) if s is not None]
    return Condition(
        name="still_skilled",
        passed=not lost,
        value=number(min(skills)),
        limit=0.0,
        reason=f"its newest out-of-fold rows show no skill {lost}"
        if lost
        else "its newest out-of-fold rows still show skill",
    )


_TEST = ("kind", "differs", "level", "p", "portions_left", "due", "demotes")
