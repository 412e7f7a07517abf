"""The gate: whether a candidate may become champion, and in which mode.

The registry compares evidence that others computed; it never looks at predictions itself.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from registry.evidence import ChampionEvidence, Evidence

_STRICT = ConfigDict(frozen=True, extra="forbid")
Outcome = Literal["promote", "observe", "refuse"]
DECIDED = "decided_against_champion"
FEW = ("effective_rows", "direction_effective_rows")  # without them nothing can be decided


class GateConfig(BaseModel):
    """Limits of the gate."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = "default"
    min_effective_rows: Annotated[
        float, Field(gt=0, description="independent out-of-fold rows below which none can tell")
    ] = 30.0
    max_log_loss_increase: Annotated[
        float, Field(ge=0, description="nats per common row that a candidate may be worse by")
    ] = 0.02
    min_common_rows: Annotated[
        int, Field(gt=0, description="candles that both models predicted, below which none compare")
    ] = 50


class Condition(BaseModel):
    """One thing the gate looked at."""

    model_config = _STRICT

    name: str
    passed: bool
    value: float | int | bool | None
    limit: float | int | bool | None
    reason: str


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
    stops = [_finite(evidence)]
    doubts = [
        _chronological(evidence),
        _effective_rows(evidence, config),
        _brier_skill(evidence),
        *_moves(evidence, config),
        _direction(evidence),
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


def _finite(evidence: Evidence) -> Condition:
    figures = [
        evidence.effective_rows,
        evidence.brier_skill,
        evidence.brier_skill_low,
        evidence.balanced_accuracy,
        evidence.direction_skill or 0.0,
        evidence.direction_skill_low or 0.0,
        evidence.direction_effective_rows or 0.0,
    ]
    if evidence.champion and evidence.champion.comparable:
        figures += evidence.champion.interval
    passed = evidence.finite and all(math.isfinite(figure) for figure in figures)
    return Condition(
        name="finite",
        passed=passed,
        value=passed,
        limit=True,
        reason="all figures are numbers" if passed else "a figure is not a number",
    )


def _chronological(evidence: Evidence) -> Condition:
    passed = evidence.chronological
    knew = "candles before their tests alone" if passed else "candles later than their tests too"
    so = "" if passed else ", so its scores are no record of what it would have said at the time"
    return Condition(
        name="chronological",
        passed=passed,
        value=passed,
        limit=True,
        reason=f"its models were trained on {knew}{so}",
    )


def _effective_rows(evidence: Evidence, config: GateConfig) -> Condition:
    rows, least = evidence.effective_rows, config.min_effective_rows
    passed = rows >= least
    enough, few = f"{rows:.0f} independent rows", f"undecidable: only {rows:.1f} independent rows"
    told = enough if passed else few
    return Condition(
        name="effective_rows",
        passed=passed,
        value=_number(rows),
        limit=least,
        reason=f"{told}, {least:g} are needed to tell skill from luck",
    )


def _brier_skill(evidence: Evidence) -> Condition:
    skill, low = evidence.brier_skill, evidence.brier_skill_low
    passed = low > 0
    told = "it predicts better than" if passed else "it is not shown to predict better than"
    return Condition(
        name="brier_skill",
        passed=passed,
        value=_number(low),
        limit=0.0,
        reason=f"{told} the usual frequencies of its classes (Brier skill {skill:+z.1%}, "
        f"at least {low:+z.1%} with 95 % confidence)",
    )


def _moves(evidence: Evidence, config: GateConfig) -> list[Condition]:
    """Whether enough rows moved to tell a direction; nothing where that is not known."""
    rows, least = evidence.direction_effective_rows, config.min_effective_rows
    if evidence.direction_skill is None or rows is None:
        return []
    passed = rows >= least
    told = f"{rows:.0f} independent" if passed else f"undecidable: only {rows:.1f} independent"
    return [
        Condition(
            name="direction_effective_rows",
            passed=passed,
            value=_number(rows),
            limit=least,
            reason=f"{told} rows moved, {least:g} are needed to tell up from down",
        )
    ]


def _direction(evidence: Evidence) -> Condition:
    skill, low = evidence.direction_skill, evidence.direction_skill_low
    if skill is None or low is None:
        return Condition(
            name="direction_skill",
            passed=False,
            value=None,
            limit=0.0,
            reason="no head tells sell from buy, and knowing only how much the price moves, or "
            "where a trade stands, is no reason to trade",
        )
    shown = "tells" if low > 0 else "is not shown to tell"
    return Condition(
        name="direction_skill",
        passed=low > 0,
        value=_number(low),
        limit=0.0,
        reason=f"it {shown} up from down among the moves (Brier skill {skill:+z.1%}, "
        f"at least {low:+z.1%} with 95 % confidence)",
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
        value=None if why_not else _number(low),
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
        value=_number(high),
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


def _number(figure: float) -> float | None:
    return figure if math.isfinite(figure) else None
