"""The yearly error budget of a slot: how often it may be tested, and how strictly.

Who looks at luck every night finds it sooner or later. So a slot's test for skill is not free: it
draws one of a few portions of a yearly error (`registry.draws`). A portion is divided by the
configurations that the candidate was chosen among, and by how few of the fleet's slots were found
to have skill (LOND: Javanmard and Montanari 2018, Online rules for control of false discovery rate
and false discovery exceedance).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from registry.conditions import NEVER, GateConfig
from registry.draws import YEAR, Draw, Kind, read_draws
from registry.slots import Slot
from registry.trials import count_trials

_NEVER = datetime.fromisoformat(NEVER).replace(tzinfo=UTC)


class Budget(NamedTuple):
    """What a slot drew, oldest first, how many lines are damaged, and how much was tried for it."""

    draws: tuple[Draw, ...] = ()
    damaged: int = 0
    trials: int = 1

    @classmethod
    def read(cls, root: Path, slot: Slot) -> Budget:
        """Read the budget and the ledger of trials."""
        made, damaged = read_draws(root, slot)
        return cls(made, len(damaged), count_trials(root, slot))


class Fleet(NamedTuple):
    """How many slots have a champion, and how many a draw admitted within a year."""

    slots: int = 1
    admitted: int = 0


class Asked(NamedTuple):
    """What is to be tested; a moment has its zone.

    `champion` is the version that it is held against, empty where there is none, and `differs`
    says what sets a change apart from it.
    """

    version: str
    kind: Kind
    as_of: str
    champion: str = ""
    differs: str = ""


class Offer(BaseModel):
    """At which level a version may be tested now.

    `portions_left` are those of the year before the candidate's as_of; `due` is the day on which
    the next one may be drawn, None where that is now, and `repeated` says that the version was
    tested already and keeps its level.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: float
    portions_left: int
    due: str | None = None
    batch: int = 1
    trials: int = 1
    slots: int = 1
    admitted: int = 0
    repeated: bool = False


def level_of(config: GateConfig, fleet: Fleet, batch: int) -> float:
    """Largest p that counts as skill: a portion, divided by the fleet and by what was tried.

    ``yearly_error / portions * min(1, (admitted + 1) / slots) / batch``.

    Examples
    --------
    >>> round(level_of(GateConfig(), Fleet(slots=10, admitted=4), batch=5), 6)
    0.000417
    """
    portion = config.yearly_error / config.portions
    return portion * min(1.0, (fleet.admitted + 1) / max(fleet.slots, 1)) / max(batch, 1)


def offer(budget: Budget, asked: Asked, fleet: Fleet, config: GateConfig) -> Offer:
    """Tell what a test of a version would be held to; nothing is drawn yet.

    A refresh waits for its turn, a change only for a portion. A damaged line counts as a portion
    of every year. A refresh carries the batch that its configuration was chosen from; a change
    back to a configuration tried before is one of all that were tried.
    """
    as_of, made = datetime.fromisoformat(asked.as_of), budget.draws
    recent = sorted((draw for draw in made if draw.moment + YEAR > as_of), key=_moment)
    left = max(config.portions - len(recent) - budget.damaged, 0)
    known = next((draw for draw in made if draw.version == asked.version), None)
    batch = _batch(asked.kind, budget, recent)
    told = Offer(
        level=known.level if known else level_of(config, fleet, batch),
        portions_left=left,
        batch=known.batch if known else batch,
        trials=budget.trials,
        slots=fleet.slots,
        admitted=fleet.admitted,
        repeated=known is not None,
    )
    if known:
        return told
    waits = [as_of] if left else [_freed(recent, budget.damaged, config)]
    if asked.kind == "refresh" and recent:
        waits.append(recent[-1].moment + YEAR / config.portions)
    day = max(waits)
    return told if day <= as_of else told.model_copy(update={"due": day.date().isoformat()})


def _batch(kind: Kind, budget: Budget, recent: list[Draw]) -> int:
    since = budget.trials - (budget.draws[-1].trials if budget.draws else 0)
    if kind == "refresh":
        return max([1, since, *(draw.batch for draw in recent)])
    return since if since > 0 else max(budget.trials, 1)


def _freed(recent: list[Draw], damaged: int, config: GateConfig) -> datetime:
    """When so many draws are a year old that a portion is left; damaged lines never are."""
    over = len(recent) + damaged - config.portions
    if over >= len(recent):
        return _NEVER
    return recent[over].moment + YEAR


def _moment(draw: Draw) -> datetime:
    return draw.moment
