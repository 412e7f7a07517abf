"""Every version of every slot: adding one, listing, opening, verifying."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.errors import RegistryError
from registry.files import (
    Journal,
    append_record,
    journal_line,
    locked,
    make_folder,
    refused,
    sync_folder,
    write_atomic,
    write_new,
)
from registry.history import HISTORY, State
from registry.manifest import (
    CARD,
    FILE,
    REGISTERED,
    Manifest,
    VerifiedBundle,
    events_path,
    parse_card,
    read_bundle,
    read_file,
    registered_digest,
    version_folders,
)
from registry.slots import CHAMPION, Slot, version_name, version_number
from registry.trials import LEDGER, damaged_trials

_TEMPORARY = ".tmp-"
_EVENT = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_READ_ONLY = 0o444


@dataclass(frozen=True, slots=True)
class Added:
    """Which version holds the files, and whether this call made it."""

    version: str
    created: bool


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """A version in a list, not verified; None where its journal cannot be read."""

    version: str
    registered_at: str | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a slot that is not as it was written."""

    slot: str
    version: str | None
    what: str


@dataclass(frozen=True, slots=True)
class Registry:
    """The versions under one root folder."""

    root: Path

    def add(
        self,
        slot: Slot,
        files: Mapping[str, bytes],
        registered_at: str,
        note: Mapping[str, Any] | None = None,
    ) -> Added:
        """Keep files as the slot's next version; a version with the same bytes is found again.

        Parameters
        ----------
        files
            Relative POSIX names and their bytes, ``card.json`` among them.
        registered_at
            The moment of the call, with its zone.
        note
            Facts for the `registered` event, JSON values only; dropped when nothing is created.

        Raises
        ------
        RegistryError
            When a name, the note or the moment is refused, the card belongs to another slot,
            or the disk does not take the files; nothing is visible then.
        """
        files = dict(files)
        manifest = Manifest.of(files)
        _check_card(slot, files)
        told = {"event": REGISTERED, "at": registered_at, "digest": manifest.digest}
        line = journal_line({**told, "note": dict(note or {})})
        place = slot.folder(self.root)
        with _telling(f"a version of {slot} cannot be registered", place):
            make_folder(place)
            with locked(place):
                _sweep(place)
                if known := _same(place, manifest.digest):
                    return Added(known, created=False)
                version = _next_version(place)
                _publish(place / version, files, manifest, line)
                return Added(version, created=True)

    def slots(self) -> list[Slot]:
        """List the slots that have a folder, by name."""
        folders = (place for place in self.root.glob("*/*") if place.is_dir())
        names = (f"{place.parent.name}/{place.name}" for place in folders)
        found = []
        for name in sorted(names):
            with contextlib.suppress(RegistryError):
                found.append(Slot.parse(name))
        return found

    def versions(self, slot: Slot) -> list[VersionInfo]:
        """List a slot's versions, oldest first."""
        place = slot.folder(self.root)
        return [_info(place, version) for version in version_folders(place)]

    def digest(self, slot: Slot, version: str) -> str:
        """Digest that a version was registered with."""
        return registered_digest(slot.folder(self.root), version)

    def events(self, slot: Slot, version: str) -> list[dict[str, Any]]:
        """List what became known of a version, oldest first; damaged lines are left out."""
        registered_digest(slot.folder(self.root), version)
        journal = Journal.read(events_path(slot.folder(self.root), version))
        return [record for _, record in journal.records]

    def note(self, slot: Slot, version: str, event: str, at: str, **facts: Any) -> None:
        """Append what became known of a version.

        Raises
        ------
        RegistryError
            When the version does not exist, or the event or a fact cannot be written.
        """
        place = slot.folder(self.root)
        if not _EVENT.fullmatch(event) or event == REGISTERED:
            expected = f"a word such as gate, and not '{REGISTERED}'"
            raise refused("is not an event", where=slot, found=repr(event), expected=expected)
        registered_digest(place, version)
        with _telling(f"an event of {slot} {version} cannot be kept", place), locked(place):
            append_record(events_path(place, version), {"event": event, "at": at, **facts})

    def open(self, slot: Slot, version: str = CHAMPION) -> VerifiedBundle:
        """Read a version, every byte verified before anything is parsed.

        Raises
        ------
        RegistryError
            When there is no such version or no champion, or a file is missing, extra, a
            link, cut or changed.
        """
        return read_bundle(slot.folder(self.root), self._named(slot, version))

    def card(self, slot: Slot, version: str = CHAMPION) -> dict[str, Any]:
        """Read a version's card, verified, without its other files."""
        version = self._named(slot, version)
        content = read_file(slot.folder(self.root), version, CARD)
        return parse_card(content, f"{slot} {version}")

    def verify(self, slot: Slot | None = None) -> list[Finding]:
        """Read everything and tell what is damaged, missing or in the way; empty is good.

        Raises
        ------
        RegistryError
            When there is no such slot.
        """
        if slot and not slot.folder(self.root).is_dir():
            raise refused("no such slot", where=self.root, found=str(slot))
        slots = self.slots() if slot is None else [slot]
        return [finding for each in slots for finding in _findings(self, each)]

    def _named(self, slot: Slot, version: str) -> str:
        if version != CHAMPION:
            return version
        pointer = State.read(slot.folder(self.root)).sound_pointer()
        if pointer is None and not self.versions(slot):
            fix = "vintage retrain makes one; vintage registry list tells which slots have some"
            raise refused("the slot has no version yet", where=slot, fix=fix)
        if pointer is None:
            fix = f"vintage registry promote {slot} VERSION"
            raise refused("the slot has no champion yet", where=slot, fix=fix)
        return pointer.version


def _check_card(slot: Slot, files: Mapping[str, bytes]) -> None:
    if CARD not in files:
        return
    told = parse_card(files[CARD], CARD).get("slot", str(slot))
    if told != str(slot):
        raise refused("the card belongs to another slot", found=repr(told), expected=str(slot))


@contextlib.contextmanager
def _telling(what: str, place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        fix = "make room or give write access, and try again; repeating is harmless"
        raise refused(what, where=place, found=str(error.strerror or error), fix=fix) from error


def _sweep(place: Path) -> None:
    for left in place.glob(".*.tmp"):
        left.unlink()
    for left in place.glob(f"{_TEMPORARY}*"):
        _discard(place, left.name.removeprefix(_TEMPORARY))


def _discard(place: Path, version: str) -> None:
    if not (place / version).exists():
        events_path(place, version).unlink(missing_ok=True)
        sync_folder(place)
    shutil.rmtree(place / f"{_TEMPORARY}{version}")


def _same(place: Path, digest: str) -> str | None:
    for version in reversed(version_folders(place)):
        with contextlib.suppress(RegistryError):
            if registered_digest(place, version) == digest:
                return read_bundle(place, version).version
    return None


def _next_version(place: Path) -> str:
    names = (path.name.split(".")[0] for path in place.glob("v*"))
    return version_name(1 + max((version_number(name) or 0 for name in names), default=0))


def _publish(final: Path, files: Mapping[str, bytes], manifest: Manifest, line: str) -> None:
    """Announce the version in its journal first, so that none is visible without its digest."""
    place, temporary = final.parent, final.with_name(f"{_TEMPORARY}{final.name}")
    try:
        temporary.mkdir()
        for name, content in {**files, FILE: manifest.to_bytes()}.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            write_new(temporary / name, content, _READ_ONLY)
        for folder in (*_folders(temporary), temporary, place):
            sync_folder(folder)
        write_atomic(events_path(place, final.name), f"{line}\n".encode())
        temporary.rename(final)
    except OSError:
        with contextlib.suppress(OSError):
            _discard(place, final.name)
        raise
    sync_folder(place)


def _folders(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_dir())


def _info(place: Path, version: str) -> VersionInfo:
    first = dict(Journal.read(events_path(place, version)).records).get(1, {})
    return VersionInfo(version, first.get("at"), first.get("digest"))


def _findings(registry: Registry, slot: Slot) -> Iterator[Finding]:
    place = slot.folder(registry.root)
    state = State.read(place)
    if state.problem:
        yield Finding(str(slot), None, f"champion.json: {state.problem}")
    yield from _damaged(slot, None, HISTORY, state.damaged)
    yield from _damaged(slot, None, LEDGER, damaged_trials(registry.root, slot))
    for path in sorted(place.glob("v*.events.jsonl")):
        version = path.name.split(".")[0]
        yield from _damaged(slot, version, path.name, Journal.read(path).damaged)
        if not (place / f"{_TEMPORARY}{version}").exists() and not (place / version).is_dir():
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
