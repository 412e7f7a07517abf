"""What in a slot is not as it was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from registry.draws import BUDGET, damaged_draws
from registry.errors import RegistryError
from registry.files import Journal
from registry.history import HISTORY, State
from registry.manifest import COLLECTED, read_bundle, version_folders
from registry.marks import MARKS, damaged_marks
from registry.publishing import TEMPORARY
from registry.slots import Slot
from registry.trials import LEDGER, damaged_trials


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a slot that is not as it was written."""

    slot: str
    version: str | None
    what: str


def findings(root: Path, slot: Slot) -> Iterator[Finding]:
    """Read everything of a slot and tell what is damaged, missing or in the way."""
    place = slot.folder(root)
    state = State.read(place)
    if state.problem:
        yield Finding(str(slot), None, f"champion.json: {state.problem}")
    yield from _damaged(slot, None, HISTORY, state.damaged)
    yield from _damaged(slot, None, LEDGER, damaged_trials(root, slot))
    yield from _damaged(slot, None, BUDGET, damaged_draws(root, slot))
    yield from _damaged(slot, None, MARKS, damaged_marks(root, slot))
    for path in sorted(place.glob("v*.events.jsonl")):
        version = path.name.split(".")[0]
        journal = Journal.read(path)
        yield from _damaged(slot, version, path.name, journal.damaged)
        gone = not (place / f"{TEMPORARY}{version}").exists() and not (place / version).is_dir()
        if gone and not any(record.get("event") == COLLECTED for _, record in journal.records):
            yield Finding(str(slot), version, "was registered, but its folder is gone")
    for version in version_folders(place):
        try:
            read_bundle(place, version)
        except RegistryError as error:
            yield Finding(str(slot), version, str(error))


def _damaged(
    slot: Slot, version: str | None, journal: str, numbers: Iterable[int]
) -> Iterator[Finding]:
    return (
        Finding(str(slot), version, f"{journal}: line {number} is damaged") for number in numbers
    )
