"""Garbage collection: which versions a slot may lose, and losing them so that a crash is harmless.

A version is announced as collected in its journal, renamed out of sight and then deleted; the
journal stays, so its number is never given again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from registry.errors import RegistryError
from registry.files import Journal, append_record, locked, refused, sync_folder
from registry.history import State, earlier_champions
from registry.manifest import COLLECTED as COLLECTED_EVENT
from registry.manifest import events_path, version_folders
from registry.marks import ROLES, marked
from registry.pointers import existing
from registry.publishing import COLLECTED, sweep
from registry.slots import Slot

KEEP = 10
YOUNG = timedelta(
    hours=1
)  # between being registered and being promoted nothing points to a version


@dataclass(frozen=True, slots=True)
class Kept:
    """A version that stays, and every reason for it."""

    version: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Waste:
    """A version that nothing points to, and what it takes on disk."""

    slot: str
    version: str
    bytes: int


def kept(root: Path, slot: Slot, at: str, keep: int = KEEP) -> list[Kept]:
    """List the versions that stay: pointed to, champion before, young, or one of the last `keep`.

    Parameters
    ----------
    at
        The moment of the call, with its zone.

    Raises
    ------
    RegistryError
        When a pointer is damaged, as what it points to is not known then.
    """
    place = existing(root, slot)
    reasons: dict[str, list[str]] = {version: [] for version in version_folders(place)}
    pointed, newest = _pointed(root, slot), [*reasons][-_positive(keep) :]
    young = [(version, "young") for version in reasons if _is_young(place, version, at)]
    last = [(version, f"one of the last {keep}") for version in newest]
    for version, why in (*pointed, *young, *last):
        if version in reasons:
            reasons[version].append(why)
    return [Kept(version, tuple(why)) for version, why in reasons.items() if why]


def waste(root: Path, slot: Slot, at: str, keep: int = KEEP) -> list[Waste]:
    """List the versions that `collect` would delete, oldest first."""
    stay = {each.version for each in kept(root, slot, at, keep)}
    place = slot.folder(root)
    gone = [version for version in version_folders(place) if version not in stay]
    return [Waste(str(slot), version, _size(place / version)) for version in gone]


def collect(root: Path, slot: Slot, keep: int, at: str, who: str) -> tuple[list[Waste], list[str]]:
    """Delete what nothing points to and what killed processes left; both are returned.

    Raises
    ------
    RegistryError
        When a pointer is damaged or the disk refuses; repeating goes on from there.
    """
    place = existing(root, slot)
    try:
        with locked(place):
            left = sweep(place)
            found = waste(root, slot, at, keep)
            for each in found:
                _delete(place, each.version, at, who)
    except OSError as error:
        found_fault, fix = str(error.strerror or error), "give write access, and try again"
        what = f"versions of {slot} cannot be deleted"
        raise refused(what, where=place, found=found_fault, fix=fix) from error
    return found, left


def _delete(place: Path, version: str, at: str, who: str) -> None:
    append_record(events_path(place, version), {"event": COLLECTED_EVENT, "at": at, "who": who})
    hidden = place / f"{COLLECTED}{version}"
    (place / version).rename(hidden)
    sync_folder(place)
    shutil.rmtree(hidden)


def _pointed(root: Path, slot: Slot) -> Iterator[tuple[str, str]]:
    state = State.read(slot.folder(root))
    pointer = state.sound_pointer()
    if pointer:
        yield pointer.version, "champion"
    if earlier := earlier_champions(state.chain()):
        yield earlier[0].to, "champion before"
    for role in ROLES:
        if (mark := marked(root, slot, role)) and mark.version:
            yield mark.version, role


def _is_young(place: Path, version: str, at: str) -> bool:
    first = dict(Journal.read(events_path(place, version)).records).get(1, {})
    try:
        registered = datetime.fromisoformat(str(first.get("at")))
        return timedelta() <= datetime.fromisoformat(at) - registered < YOUNG
    except (ValueError, TypeError):
        return False


def _positive(keep: int) -> int:
    if keep < 1:
        raise RegistryError(f"at least the newest version is kept. Found: {keep}.")
    return keep


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
