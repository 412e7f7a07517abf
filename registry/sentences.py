"""What a verdict comes to, and how it is told: one sentence for whoever trades by it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from registry.against import DECIDED, NOT_WORSE
from registry.budget import Asked
from registry.conditions import Condition
from registry.evidence import ChampionEvidence, Evidence

Outcome = Literal["promote", "observe", "refuse"]
_SAME = ("still_skilled", "agreement")


class Answers(NamedTuple):
    """Conditions in the order of what they decide: broken ones refuse, the others doubt."""

    stops: list[Condition]
    doubts: list[Condition]


def outcome_of(answers: Answers, evidence: Evidence, asked: Asked) -> tuple[Outcome, str]:
    """Decide by the conditions that do not hold, and say which these are."""
    champion = evidence.champion
    broken = [each for each in answers.stops[:1] if not each.passed]
    failed = broken or [each for each in answers.stops if not each.passed]
    if failed:
        return "refuse", f"Refuse: {'; '.join(each.reason for each in failed)}."
    doubts = [each for each in answers.doubts if not each.passed]
    told = " and ".join(each.reason for each in doubts)
    beside = next((each.reason for each in answers.stops if each.name == NOT_WORSE), "")
    if doubts and champion is not None and trades(champion):
        change = f"; a change ({asked.differs}) has to be better, and" if asked.differs else ":"
        return "refuse", f"Refuse: {champion.version} trades and stays{change} {told}."
    if doubts:
        open_still = any(each.name == DECIDED for each in doubts)
        compared = f"; {beside}" if beside and not open_still else ""
        return "observe", f"Observe, signals but no decisions: {told}{compared}."
    if trades(champion) and asked.kind == "refresh":
        same = "; ".join(each.reason for each in answers.doubts if each.name in _SAME)
        return "promote", f"Promote: the same recipe on newer candles; {same}; and {beside}."
    return "promote", _promotion(evidence, beside or "there is no champion yet")


def _promotion(evidence: Evidence, beside: str) -> str:
    figures = (
        f"Brier skill {evidence.brier_skill:+z.1%}, balanced accuracy "
        f"{evidence.balanced_accuracy:.1%} where guessing gives {1 / evidence.classes:.1%}"
    )
    chances = [p for p in (evidence.brier_skill_p, evidence.direction_skill_p) if p is not None]
    return (
        f"Promote: over {evidence.effective_rows:.0f} independent rows it predicts better than "
        f"the usual frequencies of its classes ({figures}; luck shows as much with p "
        f"{max(chances):.2g}), and {beside}."
    )


def demotion(version: str, skilled: Condition) -> str:
    """Say why a champion is observed from now on."""
    return (
        f"Observe, signals but no decisions: {version} trades no longer, for {skilled.reason}; to "
        "trade again costs a portion of the slot's yearly error."
    )


def trades(champion: ChampionEvidence | None) -> bool:
    """Whether there is a champion and it trades."""
    return champion is not None and champion.mode == "trade"
