"""One policy held against another: words and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.experiments.simulate.losses import MEASURES, Gap, Losses
from pipeline.experiments.simulate.money import Earned
from pipeline.experiments.simulate.policies import GATED, TITLES
from registry.evidence import FEW_DAYS, MoneyEvidence

SPOKEN = {"log_loss": "log loss", "direction": "direction"}
PLAIN = {"log loss": "its predictions are", "direction": "its calls of up or down are"}
SAME, MONEY = "the same", "money"


@dataclass(frozen=True, slots=True)
class Rival:
    """Retraining with the gate held against another policy.

    `losses` has its mean loss less the other's by measure, nothing where one of the two tells none.
    """

    name: str
    money: MoneyEvidence
    losses: Mapping[str, Gap]

    @property
    def words(self) -> dict[str, str]:
        """Better, undecidable, worse or the same, by measure."""
        found = {
            SPOKEN[name]: SAME if gap.nothing else gap.word for name, gap in self.losses.items()
        }
        same = self.money.comparable and not self.money.differing_days
        return found | {MONEY: SAME if same else self.money.word}

    @property
    def sentence(self) -> str:
        """The verdict by every measure, with its figures."""
        parts = [f"by {SPOKEN[name]} {_of_gap(gap)}" for name, gap in self.losses.items()]
        return f"Against {TITLES[self.name]} it is {', '.join([*parts, self._money()])}."

    def facts(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "sentence": self.sentence,
            "money": self.money.model_dump(mode="json") | {"word": self.money.word},
            "losses": {name: asdict(gap) | {"word": gap.word} for name, gap in self.losses.items()},
        }

    def _money(self) -> str:
        found = self.money
        if not found.comparable:
            return f"by money undecidable ({found.why_not.rstrip('.')})"
        if not found.differing_days:
            return f"by money the same ({found.candidate_return:+z.2%} on {found.days} days)"
        return (
            f"by money {found.word} ({found.candidate_return:+z.2%} against "
            f"{found.champion_return:+z.2%} on {found.days} days, {found.daily_difference:+z.3%} a "
            f"day, {found.low:+z.3%} to {found.high:+z.3%}{_too_few(found.differing_days)})"
        )


def rival(name: str, scored: Mapping[str, Losses], money: Earned, horizon: int) -> Rival:
    """Hold retraining with the gate against another policy."""
    gaps = {}
    if name in scored:
        found = {each: scored[GATED].to(scored[name], each, horizon) for each in MEASURES}
        gaps = {each: gap for each, gap in found.items() if gap is not None}
    return Rival(name, money.against(name, horizon), gaps)


def plainly(measure: str, word: str) -> str:
    """A word of a measure for who does not know the measure.

    Examples
    --------
    >>> plainly("log loss", "better")
    'its predictions are better'
    """
    return f"{PLAIN.get(measure, 'what it earned is')} {word}"


def _of_gap(gap: Gap) -> str:
    if gap.nothing:
        return f"the same ({gap.ours:.4f} a row)"
    digits = _digits(gap.value, gap.low, gap.high)
    value, low, high = (f"{each:+z.{digits}f}" for each in (gap.value, gap.low, gap.high))
    return (
        f"{gap.word} ({value} a row, lower is better, with 90 % confidence {low} to "
        f"{high}{_too_few(gap.days)})"
    )


def _digits(*values: float) -> int:
    """Four, or as many as tell the value that is nearest to 0 from 0.

    Examples
    --------
    >>> _digits(-0.02, 0.1), _digits(-0.0002, -0.00001)
    (4, 5)
    """
    return next((k for k in range(4, 9) if all(round(each, k) for each in values)), 4)


def _too_few(days: int) -> str:
    """Why nothing is decided yet."""
    return "" if days >= FEW_DAYS else f"; {days} days tell, {FEW_DAYS} are needed"
