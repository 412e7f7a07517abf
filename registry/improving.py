"""What a gate asks of a change that wants the place of a champion that trades: to be better."""

from __future__ import annotations

from collections.abc import Iterator

from registry.conditions import Condition, luck, number
from registry.evidence import FEW_DAYS, ChampionEvidence, Evidence, MoneyEvidence


def improvements(
    evidence: Evidence, champion: ChampionEvidence, level: float
) -> Iterator[Condition]:
    """Whether it is shown to be better than the champion in what it is traded for.

    Where a head tells sell from buy that is the direction loss and the money after costs;
    elsewhere the log loss, and the money where both say when to enter.
    """
    money = champion.money
    if evidence.direction_skill is not None:
        yield _direction(champion, level)
        yield _money(money or MoneyEvidence(comparable=False, why_not="nobody traded them"), level)
        return
    yield _own_score(champion, level)
    if money is not None and money.comparable:
        yield _money(money, level)


def _direction(champion: ChampionEvidence, level: float) -> Condition:
    difference, p = champion.direction_loss_difference, champion.direction_loss_p
    told = "no row tells" if difference is None else f"{difference:+.4f} a row that moved"
    return _shown(
        "direction_improvement",
        p,
        level,
        f"to tell up from down better than {champion.version} (squared error {told}",
    )


def _own_score(champion: ChampionEvidence, level: float) -> Condition:
    return _shown(
        "improvement",
        champion.log_loss_p,
        level,
        f"to predict better than {champion.version} (log loss {champion.interval[0]:+.4f} a row",
    )


def _money(money: MoneyEvidence, level: float) -> Condition:
    enough = money.comparable and money.differing_days >= FEW_DAYS
    if money.comparable and not enough:
        told = f"only {money.differing_days} days differ, {FEW_DAYS} are needed"
    elif money.comparable:
        told = f"{money.daily_difference:+z.3%} a day"
    else:
        told = money.why_not.rstrip(".")
    p = money.daily_difference_p if enough else None
    return _shown("money_improvement", p, level, f"to earn more after costs ({told}")


def _shown(name: str, p: float | None, level: float, what: str) -> Condition:
    passed = p is not None and p <= level
    return Condition(
        name=name,
        passed=passed,
        value=None if p is None else number(p),
        limit=level,
        reason=f"it is {'' if passed else 'not '}shown {what}, {luck(p, level)})",
    )
