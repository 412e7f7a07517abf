"""Every version of every slot: adding one, listing, opening, verifying."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
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
)
from registry.findings import Finding, findings
from registry.history import State
from registry.manifest import (
    CARD,
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
from registry.publishing import next_version, publish, sweep
from registry.signing import KEY, KEY_FILE, SIGNED, signed_record
from registry.slots import CHAMPION, Slot

_EVENT = re.compile(r"[a-z][a-z0-9_-]{0,39}")


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
        told: dict[str, Any] = {"event": REGISTERED, "at": registered_at}
        told |= {"digest": manifest.digest, "note": dict(note or {})}
        journal_line(told)
        place = slot.folder(self.root)
        with _telling(f"a version of {slot} cannot be registered", place):
            make_folder(place)
            with locked(place):
                sweep(place)
                if known := _same(place, manifest.digest):
                    return Added(known, created=False)
                version = next_version(place)
                signed = signed_record(str(slot), version, manifest.digest)
                publish(place / version, files, manifest, journal_line({**told, **signed}))
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

    def sign(self, slot: Slot, version: str, at: str, who: str) -> None:
        """Sign an intact version with the configured key.

        Raises
        ------
        RegistryError
            When no key is configured, or the version is not what was registered.
        """
        place = slot.folder(self.root)
        digest = read_bundle(place, version, signed=False).digest
        signed = signed_record(str(slot), version, digest)
        if not signed:
            raise refused(
                "there is no key to sign with", where=slot, fix=f"set {KEY} or {KEY_FILE}"
            )
        with _telling(f"the signature of {slot} {version} cannot be kept", place), locked(place):
            record = {"event": SIGNED, "at": at, "who": who, **signed}
            append_record(events_path(place, version), record)

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
        return [finding for each in slots for finding in findings(self.root, each)]

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


def _same(place: Path, digest: str) -> str | None:
    for version in reversed(version_folders(place)):
        if _info(place, version).digest == digest:
            with contextlib.suppress(RegistryError):
                return read_bundle(place, version).version
    return None


def _info(place: Path, version: str) -> VersionInfo:
    first = dict(Journal.read(events_path(place, version)).records).get(1, {})
    return VersionInfo(version, first.get("at"), first.get("digest"))
