"""Where a candidate stands in its slot and among the other slots, read from the registry."""

from __future__ import annotations

from pathlib import Path

from registry.budget import Asked, Budget, Fleet, offer
from registry.conditions import GateConfig
from registry.draws import Draw, admitted_within_a_year, read_draws, record_draw
from registry.gate import Standing, Verdict
from registry.history import POINTER
from registry.lineage import chain
from registry.slots import Slot
from registry.versions import Registry


def standing(registry: Registry, slot: Slot, asked: Asked, config: GateConfig) -> Standing:
    """Look where a registered candidate stands; nothing is drawn."""
    root, before = registry.root, asked.champion
    budget, slots = Budget.read(root, slot), fleet(registry, slot, asked.as_of)
    found = offer(budget, asked, slots, config)
    followed = before and before != asked.version
    return Standing(asked, found, chain(root, slot, before) if followed else None)


def fleet(registry: Registry, slot: Slot, as_of: str) -> Fleet:
    """Count the slots with a champion, this one too, and those that a draw admitted in a year."""
    root = registry.root
    serving = {each for each in registry.slots() if _has_champion(root, each)} | {slot}
    made = (read_draws(root, each)[0] for each in serving)
    return Fleet(len(serving), sum(admitted_within_a_year(each, as_of) for each in made))


def spend(registry: Registry, slot: Slot, stood: Standing, verdict: Verdict, at: str) -> bool:
    """Write down the portion that a verdict cost; False where it cost none.

    Raises
    ------
    RegistryError
        When it cannot be written: the verdict must not be followed then.
    """
    if not verdict.drawn:
        return False
    asked, found = stood.asked, stood.offer
    draw = Draw(
        version=asked.version,
        as_of=asked.as_of,
        kind=asked.kind,
        level=found.level,
        batch=found.batch,
        trials=found.trials,
        admitted=verdict.outcome == "promote",
        at=at,
    )
    return record_draw(registry.root, slot, draw)


def _has_champion(root: Path, slot: Slot) -> bool:
    return (slot.folder(root) / POINTER).exists()
