"""What a gate asks of a candidate that a champion stands against."""

from __future__ import annotations

from registry.conditions import Condition, GateConfig, number
from registry.evidence import ChampionEvidence
from registry.lineage import Chain

DECIDED, NOT_WORSE = "decided_against_champion", "not_worse_than_champion"


def not_older(champion: ChampionEvidence) -> Condition:
    """Whether the champion knows no later candles."""
    passed = not champion.is_newer
    told = "knows no later candles than" if passed else "knows later candles than"
    return Condition(
        name="not_older_than_champion",
        passed=passed,
        value=passed,
        limit=True,
        reason=f"{champion.version} {told} the candidate",
    )


def not_compared(champion: ChampionEvidence, config: GateConfig) -> str:
    """Why the two cannot be compared; empty when they can."""
    if not champion.comparable:
        return champion.why_not.strip().rstrip(".") or "no reason was given"
    rows = champion.common_rows if champion.common_moments is None else champion.common_moments
    if rows < config.min_common_rows:
        return f"common rows of {rows} candles, {config.min_common_rows} are needed"
    return ""


def not_worse(champion: ChampionEvidence, config: GateConfig, why_not: str) -> Condition:
    """Whether it is not shown to be worse; what cannot be compared is not."""
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
        name=NOT_WORSE,
        passed=passed,
        value=None if why_not else number(low),
        limit=most,
        reason=told,
    )


def decided(champion: ChampionEvidence, config: GateConfig) -> Condition:
    """Whether it is shown to be as good: the whole interval lies within the limit."""
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


def not_eroded(champion: ChampionEvidence, chain: Chain, config: GateConfig) -> Condition:
    """Whether many small losses, one version after the other, stay within the limit together."""
    lost, most = chain.loss + champion.interval[0], config.max_cumulative_loss
    passed = lost <= most
    return Condition(
        name="cumulative_loss",
        passed=passed,
        value=number(lost),
        limit=most,
        reason=f"its log loss is {lost:+.4f} a row above that of {chain.best}, the best champion "
        f"ever, step by step; up to {most:+.4f} is allowed",
    )


def can_be_held_against(why_not: str) -> Condition:
    """Whether what is known suffices to hold it against a champion that trades."""
    told = f"the two cannot be compared ({why_not})" if why_not else "the two can be compared"
    return Condition(
        name="compared_with_champion",
        passed=not why_not,
        value=not why_not,
        limit=True,
        reason=told,
    )
