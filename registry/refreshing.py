"""What a gate asks of a refresh: the champion's own recipe, taught newer candles.

It need not show skill anew, which would be one more test of luck. It has to be sound, and to say
much the same as the champion that it takes the place of.
"""

from __future__ import annotations

from collections.abc import Iterator

from registry.conditions import Condition, GateConfig, number
from registry.evidence import ChampionEvidence, Evidence, HeadLikeness


def alike(champion: ChampionEvidence, config: GateConfig) -> Iterator[Condition]:
    """Whether every head is as well calibrated, signals as often and agrees with the champion's.

    Each condition is told of the head that is worst at it.
    """
    heads = champion.likeness
    if not heads:
        yield Condition(
            name="agreement",
            passed=False,
            value=None,
            limit=config.min_rank_correlation,
            reason=f"it has no out-of-fold row in common with {champion.version}, so nobody knows "
            "whether the two agree",
        )
        return
    yield _calibration(max(heads, key=_increase), config)
    yield _signal_rate(max(heads, key=_signal_change), champion.version, config)
    yield _agreement(min(heads, key=lambda head: head.rank_correlation), champion.version, config)


def certified(evidence: Evidence, config: GateConfig) -> Iterator[Condition]:
    """Whether each final refit says what its newest fold's model said; nothing where not told."""
    for refit in evidence.certified:
        rows, correlation = refit.agreement(config.min_certified_rows)
        least = config.min_rank_correlation if rows else 0.0
        common = f"{rows} rows that neither learnt from" if rows else f"{refit.rows} rows"
        rates = refit.signal_rate, refit.fold_signal_rate
        agrees = correlation is not None and correlation >= least
        told = "is not known" if correlation is None else f"{correlation:+.2f}"
        yield Condition(
            name=f"certification_{refit.head}",
            passed=agrees and _near(*rates, config),
            value=None if correlation is None else number(correlation),
            limit=least,
            reason=f"the refit of {refit.head} {_shows(agrees and _near(*rates, config))} what its "
            f"newest fold's model said on {common} (rank correlation {told}, at least "
            f"{least:+.2f} is needed; signals on {rates[0]:.1%} of them, that on {rates[1]:.1%})",
        )


def gone(evidence: Evidence) -> str:
    """What a champion of this recipe was admitted for and does not show any more; empty if none."""
    skill, direction = evidence.brier_skill, evidence.direction_skill
    if skill <= 0:
        return f"to predict better than the usual frequencies (Brier skill {skill:+z.1%})"
    if direction is not None and direction <= 0:
        return f"to tell up from down (Brier skill {direction:+z.1%} among the moves)"
    return ""


def _calibration(head: HeadLikeness, config: GateConfig) -> Condition:
    limit = max(
        config.max_calibration_error,
        head.champion_calibration_error + config.max_calibration_increase,
    )
    passed = head.calibration_error <= limit
    return Condition(
        name="calibration",
        passed=passed,
        value=number(head.calibration_error),
        limit=limit,
        reason=f"{head.head} is {'' if passed else 'not '}calibrated well enough (error "
        f"{head.calibration_error:.3f}, the champion's {head.champion_calibration_error:.3f}, up "
        f"to {limit:.3f} is allowed)",
    )


def _signal_rate(head: HeadLikeness, version: str, config: GateConfig) -> Condition:
    passed = _near(head.signal_rate, head.champion_signal_rate, config)
    return Condition(
        name="signal_rate",
        passed=passed,
        value=number(head.signal_rate),
        limit=number(head.champion_signal_rate),
        reason=f"{head.head} {'signals about as' if passed else 'does not signal as'} often as "
        f"{version} (on {head.signal_rate:.1%} of {head.rows} common rows, that on "
        f"{head.champion_signal_rate:.1%}; {config.max_signal_rate_ratio:g} times as many or as "
        f"few are allowed, or {config.max_signal_rate_change:.0%} of the rows)",
    )


def _agreement(head: HeadLikeness, version: str, config: GateConfig) -> Condition:
    passed = head.rank_correlation >= config.min_rank_correlation
    return Condition(
        name="agreement",
        passed=passed,
        value=number(head.rank_correlation),
        limit=config.min_rank_correlation,
        reason=f"{head.head} {'agrees' if passed else 'does not agree'} with {version} (rank "
        f"correlation {head.rank_correlation:+.2f} on {head.rows} common rows, at least "
        f"{config.min_rank_correlation:+.2f} is needed)",
    )


def _near(rate: float, other: float, config: GateConfig) -> bool:
    """Whether one rate is about the other: by their ratio, or by a few rows of a hundred."""
    ratio = config.max_signal_rate_ratio
    return other / ratio <= rate <= other * ratio or (
        abs(rate - other) <= config.max_signal_rate_change
    )


def _increase(head: HeadLikeness) -> float:
    return head.calibration_error - head.champion_calibration_error


def _signal_change(head: HeadLikeness) -> float:
    return abs(head.signal_rate - head.champion_signal_rate)


def _shows(passed: bool) -> str:
    return "says" if passed else "does not say"
