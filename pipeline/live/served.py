"""Which version answers: the champion, or an earlier one while the champion cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline import log
from pipeline.live.first_load import require_loadable
from pipeline.live.task import task_changes
from registry.errors import RegistryError
from registry.history import Pointer
from registry.manifest import VerifiedBundle
from registry.pointers import champion, standing_in
from registry.slots import Slot
from registry.versions import Registry


@dataclass(frozen=True, slots=True)
class Served:
    """A verified version and the mode it is served in.

    `stands_in_for` names the champion that it answers for, `why` says what that one lacks; both
    are empty where the champion answers.
    """

    pointer: Pointer
    verified: VerifiedBundle
    stands_in_for: str = ""
    why: str = ""


def served(registry: Registry, slot: Slot, plugins: Sequence[str]) -> Served | None:
    """Open the champion, or the nearest earlier one that is intact; None before the first.

    An earlier champion that was asked something else answers for none.

    Raises
    ------
    RegistryError
        When the pointer is not to be trusted, or neither the champion nor one before is intact.
    """
    pointer = champion(registry.root, slot)
    if pointer is None:
        return None
    try:
        return Served(pointer, _opened(registry, slot, pointer.version, plugins))
    except RegistryError as error:
        told = {"slot": str(slot), "version": pointer.version, "why": str(error)}
        for earlier in standing_in(registry.root, slot):
            if not _same_task(registry, slot, pointer.version, earlier.version):
                continue
            try:
                verified = _opened(registry, slot, earlier.version, plugins)
            except RegistryError:
                continue
            facts = {**told, "served": earlier.version, "mode": earlier.mode}
            log.event("champion_damaged", log.WARNING, **facts)
            return Served(earlier, verified, pointer.version, str(error))
        log.event("champion_damaged", log.WARNING, **told, served=None)
        raise


def _same_task(registry: Registry, slot: Slot, *versions: str) -> bool:
    """By the cards, or by what was noted at registration where a card cannot be read."""
    try:
        told = [registry.card(slot, version) for version in versions]
    except RegistryError:
        return len({_noted_task(registry, slot, version) for version in versions}) == 1
    labels = [card.get("config", {}).get("labels") for card in told]
    return None in labels or not any(task_changes(*labels))


def _noted_task(registry: Registry, slot: Slot, version: str) -> object:
    try:
        return registry.events(slot, version)[0].get("note", {}).get("task")
    except RegistryError:
        return None


def _opened(registry: Registry, slot: Slot, version: str, plugins: Sequence[str]) -> VerifiedBundle:
    verified = registry.open(slot, version)
    require_loadable(registry, slot, verified, lambda: plugins)
    return verified
