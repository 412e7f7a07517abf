"""The gate: whether a candidate may become champion, and in which mode.

The registry compares evidence that others computed; it never looks at predictions itself.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

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
)
from registry.evidence import ChampionEvidence, Evidence

_STRICT = ConfigDict(frozen=True, extra="forbid")
Outcome = Literal["promote", "observe", "refuse"]
DECIDED = "decided_against_champion"


class Verdict(BaseModel):
    """What becomes of the candidate, in one sentence, and every condition behind it."""

    model_config = _STRICT

    outcome: Outcome
    sentence: str
    conditions: tuple[Condition, ...]


def judge(evidence: Evidence, config: GateConfig) -> Verdict:
    """Decide what becomes of a candidate.

    Figures that are not finite, a candidate that knows less of the past than the champion, or
    one that is clearly worse (by more than the limit even at the low end of the interval):
    refuse. Scores of models that were trained on later candles too, too few independent rows, or
    too few of them that moved (undecidable), no skill over the baseline, none in direction, or an
    interval that reaches beyond the limit (undecidable): observe (signals, no decisions).
    Otherwise promote. A champion that trades gives way only to a candidate that would be promoted
    and was compared; one that is observed gives way to any that is not shown to be worse.

    Examples
    --------
    >>> evidence = Evidence(finite=True, effective_rows=12, brier_skill=0.1, brier_skill_low=0.02,
    ...                     direction_skill=0.1, direction_skill_low=0.01,
    ...                     balanced_accuracy=0.4, classes=3)
    >>> judge(evidence, GateConfig()).outcome
    'observe'
    """
    stops = [finite(evidence)]
    doubts = [
        chronological(evidence),
        effective_rows(evidence, config),
        brier_skill(evidence),
        *moves(evidence, config),
        direction(evidence),
    ]
    champion = evidence.champion
    if champion is not None:
        compared = _comparison(champion, config)
        stops += [_not_older(champion), _not_worse(champion, config, compared)]
        if stops[-1].passed and not compared:
            doubts.append(_decided(champion, config))
        if champion.mode == "trade":
            stops.append(_replaces_trading(champion, compared, [d for d in doubts if not d.passed]))
    broken = [condition for condition in stops[:1] if not condition.passed]
    failed = broken or [condition for condition in stops if not condition.passed]
    outcome: Outcome = "refuse" if failed else "promote"
    if not failed and not all(condition.passed for condition in doubts):
        outcome, failed = "observe", [condition for condition in doubts if not condition.passed]
    return Verdict(
        outcome=outcome,
        sentence=_sentence(outcome, failed, stops[2:], evidence),
        conditions=(*stops[:1], *doubts, *stops[1:]),
    )


def _not_older(champion: ChampionEvidence) -> Condition:
    passed = not champion.is_newer
    told = "knows no later candles than" if passed else "knows later candles than"
    return Condition(
        name="not_older_than_champion",
        passed=passed,
        value=passed,
        limit=True,
        reason=f"{champion.version} {told} the candidate",
    )


def _comparison(champion: ChampionEvidence, config: GateConfig) -> str:
    """Why the two cannot be compared; empty when they can."""
    if not champion.comparable:
        return champion.why_not.strip().rstrip(".") or "no reason was given"
    rows = champion.common_rows if champion.common_moments is None else champion.common_moments
    if rows < config.min_common_rows:
        return f"common rows of {rows} candles, {config.min_common_rows} are needed"
    return ""


def _not_worse(champion: ChampionEvidence, config: GateConfig, why_not: str) -> Condition:
    (difference, low, high), most = champion.interval, config.max_log_loss_increase
    if why_not:
        passed, told = True, f"it cannot be compared with {champion.version} ({why_not})"
    else:
        passed = low <= most
        worse = "not clearly worse" if passed else "clearly worse"
        told = (
            f"it is {worse} than {champion.version} (log loss {difference:+.4f} a row on "
            f"{champion.common_rows} common rows, with 90 % confidence {low:+.4f} to "
            f"{high:+.4f}; up to {most:+.4f} is allowed)"
        )
    return Condition(
        name="not_worse_than_champion",
        passed=passed,
        value=None if why_not else number(low),
        limit=most,
        reason=told,
    )


def _decided(champion: ChampionEvidence, config: GateConfig) -> Condition:
    (_, _, high), most = champion.interval, config.max_log_loss_increase
    passed = high <= most
    told = "it is shown to be as good as" if passed else "undecidable: it may be worse than"
    return Condition(
        name=DECIDED,
        passed=passed,
        value=number(high),
        limit=most,
        reason=f"{told} {champion.version} (log loss up to {high:+.4f} a row on "
        f"{champion.common_rows} common rows, {most:+.4f} is allowed)",
    )


def _replaces_trading(
    champion: ChampionEvidence, why_not: str, doubts: list[Condition]
) -> Condition:
    causes = [doubt.reason for doubt in doubts]
    causes += [f"the two cannot be compared ({why_not})"] if why_not else []
    told = " and ".join(causes)
    return Condition(
        name="may_replace_a_trading_champion",
        passed=not causes,
        value=not causes,
        limit=True,
        reason=f"{champion.version} trades and stays: {told}"
        if causes
        else f"{champion.version} trades, and enough is known to hold the candidate against it",
    )


def _sentence(
    outcome: Outcome, failed: list[Condition], against: list[Condition], evidence: Evidence
) -> str:
    if outcome == "refuse":
        return f"Refuse: {'; '.join(condition.reason for condition in failed)}."
    if outcome == "observe":
        told = " and ".join(condition.reason for condition in failed)
        open_still = any(condition.name == DECIDED for condition in failed)
        compared = f"; {against[0].reason}" if against and not open_still else ""
        return f"Observe, signals but no decisions: {told}{compared}."
    beside = against[0].reason if against else "there is no champion yet"
    figures = (
        f"Brier skill {evidence.brier_skill:+z.1%}, balanced accuracy "
        f"{evidence.balanced_accuracy:.1%} where guessing gives {1 / evidence.classes:.1%}"
    )
    return (
        f"Promote: over {evidence.effective_rows:.0f} independent rows it predicts better than "
        f"the usual frequencies of its classes ({figures}), and {beside}."
    )
