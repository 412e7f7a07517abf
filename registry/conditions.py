"""What a gate asks of a candidate by itself, one condition after the other."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from registry.evidence import Evidence

_STRICT = ConfigDict(frozen=True, extra="forbid")
NEVER = "9999-12-31"  # when a portion falls due that a damaged budget holds back
PORTION = "portion"
FEW = ("effective_rows", "direction_effective_rows")  # without them nothing can be decided


class GateConfig(BaseModel):
    """Limits of the gate; shares and correlations without unit."""

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
    yearly_error: Annotated[
        float, Field(gt=0, lt=1, description="chance that a slot without skill ever trades, a year")
    ] = 0.05
    portions: Annotated[
        int, Field(gt=0, le=365, description="parts of it, one for each test; so many in a year")
    ] = 12
    max_cumulative_loss: Annotated[
        float, Field(ge=0, description="nats per row that versions may lose on the best one ever")
    ] = 0.05
    max_calibration_error: Annotated[
        float, Field(gt=0, le=1, description="of a refresh; above it, the next limit counts")
    ] = 0.1
    max_calibration_increase: Annotated[
        float, Field(ge=0, le=1, description="calibration error above the champion's, of a refresh")
    ] = 0.02
    max_signal_rate_ratio: Annotated[
        float, Field(gt=1, description="times as many or as few signals as the champion's")
    ] = 3.0
    max_signal_rate_change: Annotated[
        float, Field(ge=0, le=1, description="share of rows; a smaller change is always allowed")
    ] = 0.05
    min_rank_correlation: Annotated[
        float, Field(ge=-1, le=1, description="of a refresh's answers with the champion's")
    ] = 0.3
    min_certified_rows: Annotated[
        int, Field(ge=3, description="rows neither learnt from that a refit is certified on")
    ] = 20


class Condition(BaseModel):
    """One thing the gate looked at."""

    model_config = _STRICT

    name: str
    passed: bool
    value: float | int | bool | None
    limit: float | int | bool | None
    reason: str


def finite(evidence: Evidence) -> Condition:
    """Whether every figure is a number."""
    figures = [
        evidence.effective_rows,
        evidence.brier_skill,
        evidence.brier_skill_low,
        evidence.balanced_accuracy,
        evidence.direction_skill or 0.0,
        evidence.direction_skill_low or 0.0,
        evidence.direction_effective_rows or 0.0,
        evidence.brier_skill_p or 0.0,
        evidence.direction_skill_p or 0.0,
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


def chronological(evidence: Evidence) -> Condition:
    """Whether no score is of a model that knew later candles."""
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


def effective_rows(evidence: Evidence, config: GateConfig) -> Condition:
    """Whether there are rows enough to tell skill from luck."""
    rows, least = evidence.effective_rows, config.min_effective_rows
    passed = rows >= least
    enough, few = f"{rows:.0f} independent rows", f"undecidable: only {rows:.1f} independent rows"
    told = enough if passed else few
    return Condition(
        name="effective_rows",
        passed=passed,
        value=number(rows),
        limit=least,
        reason=f"{told}, {least:g} are needed to tell skill from luck",
    )


def moves(evidence: Evidence, config: GateConfig) -> list[Condition]:
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
            value=number(rows),
            limit=least,
            reason=f"{told} rows moved, {least:g} are needed to tell up from down",
        )
    ]


def portion(left: int, due: str | None, config: GateConfig) -> Condition:
    """Whether the slot may be tested for skill now."""
    if due is None:
        told = f"{left} of {config.portions} portions of the slot's yearly error are left"
    elif due == NEVER:
        told = "no portion of the slot's yearly error is left while lines of its budget are damaged"
    else:
        told = (
            "whether it has skill may not be tested again yet: the next portion of the slot's "
            f"yearly error falls due on {due}"
        )
    return Condition(
        name=PORTION,
        passed=due is None,
        value=left,
        limit=config.portions,
        reason=told,
    )


def brier_skill(evidence: Evidence, level: float) -> Condition:
    """Whether it is shown to predict better than the class shares."""
    skill, p = evidence.brier_skill, evidence.brier_skill_p
    passed = p is not None and p <= level
    told = "it predicts better than" if passed else "it is not shown to predict better than"
    return Condition(
        name="brier_skill",
        passed=passed,
        value=None if p is None else number(p),
        limit=level,
        reason=f"{told} the usual frequencies of its classes (Brier skill {skill:+z.1%}, "
        f"{luck(p, level)})",
    )


def direction(evidence: Evidence, level: float) -> Condition:
    """Whether it is shown to tell sell from buy among the moves."""
    skill, p = evidence.direction_skill, evidence.direction_skill_p
    if skill is None:
        return Condition(
            name="direction_skill",
            passed=False,
            value=None,
            limit=level,
            reason="no head tells sell from buy, and knowing only how much the price moves, or "
            "where a trade stands, is no reason to trade",
        )
    passed = p is not None and p <= level
    shown = "tells" if passed else "is not shown to tell"
    return Condition(
        name="direction_skill",
        passed=passed,
        value=None if p is None else number(p),
        limit=level,
        reason=f"it {shown} up from down among the moves (Brier skill {skill:+z.1%}, "
        f"{luck(p, level)})",
    )


def luck(p: float | None, level: float) -> str:
    """Tell how likely luck alone shows as much.

    Examples
    --------
    >>> luck(0.0312, 0.05 / 12)
    'which luck shows with p 0.031; at most 0.0042 is allowed'
    """
    known = (
        "how often luck shows it is not known" if p is None else f"which luck shows with p {p:.2g}"
    )
    return f"{known}; at most {level:.2g} is allowed"


def number(figure: float) -> float | None:
    """The figure, None where it is none."""
    return figure if math.isfinite(figure) else None
