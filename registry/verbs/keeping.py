"""Verbs that bring versions in and out, and keep them sound: add, export, verify, gc, backup."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from registry.archive import Packed, backup, restore, sweep_restores
from registry.errors import RegistryError
from registry.folders import export, read_folder
from registry.retention import Waste, collect, kept, waste
from registry.slots import Slot
from registry.tables import table
from registry.verbs.telling import ME, Told, print_json, tell
from registry.versions import Registry


def add(registry: Registry, told: Told) -> int:
    """Register the files of a folder as the slot's next version."""
    note = {"source": "folder", "who": told.who}
    added = registry.add(told.slot, read_folder(told.folder), told.at, note=note)
    line = f"{told.slot} {added.version}: {'registered' if added.created else 'known already'}."
    hint = f"The gate has not judged it. To serve it: {ME} promote {told.slot} {added.version}"
    facts = {"slot": str(told.slot), **asdict(added)}
    return tell(told, facts, line, hint if added.created else "")


def export_(registry: Registry, told: Told) -> int:
    """Write a verified version to a new folder."""
    bundle = registry.open(told.slot, told.version)
    export(bundle, told.folder)
    facts = {"slot": str(told.slot), "version": bundle.version, "folder": str(told.folder)}
    line = f"{told.slot} {bundle.version}: {len(bundle.names)} files and their manifest are in "
    return tell(told, facts, f"{line}{told.folder}.")


def verify(registry: Registry, told: Told) -> int:
    """Hold every file against its digest."""
    findings = [asdict(finding) for finding in registry.verify(told.slot)]
    if told.json:
        print_json(findings)
    elif findings:
        print(table(findings))
    else:
        slots = registry.slots() if told.slot is None else [told.slot]
        count = sum(len(registry.versions(slot)) for slot in slots)
        print(f"Intact: {count} versions in {len(slots)} slots.")
    return RegistryError.exit_code if findings else 0


def gc(registry: Registry, told: Told) -> int:
    """Tell which versions nothing points to; with --yes they are deleted."""
    slots = registry.slots() if told.slot is None else [told.slot]
    found: list[Waste] = []
    left: list[str] = sweep_restores(registry.root) if told.yes else []
    for slot in slots:
        gone, swept = _collected(registry, told, slot)
        found += gone
        left += [f"{slot}/{name}" for name in swept]
    facts: dict[str, Any] = {"deleted": told.yes, "keep": told.keep, "swept": left}
    facts["versions"] = [asdict(each) for each in found]
    facts["kept"] = [row for slot in slots for row in _kept_rows(registry, told, slot)]
    size = sum(each.bytes for each in found) / 1e6
    counted = f"{len(found)} versions, {size:.1f} MB"
    if not found:
        nothing = "Nothing to delete." + f" {len(left)} left-overs swept." * bool(left)
        return tell(told, facts, nothing, f"\n{table(facts['kept'])}" if facts["kept"] else "")
    rows = f"{table(facts['versions'])}\n"
    done = f"Deleted {counted}." if told.yes else f"Nothing is deleted yet: {counted} would be."
    how = (
        "" if told.yes else "There is no way back but a backup. To delete them: repeat with --yes."
    )
    return tell(told, facts, rows, "", done, how)


def backup_(registry: Registry, told: Told) -> int:
    """Write slots to one file that was read back and verified."""
    packed = backup(registry, told.file, [Slot.parse(name) for name in told.slots])
    return tell(
        told, {"file": str(told.file), **asdict(packed)}, f"{_said(packed)} in {told.file}."
    )


def restore_(registry: Registry, told: Told) -> int:
    """Bring back the slots of a backup."""
    packed, aside = restore(registry, told.file, replace=told.yes)
    facts = {"file": str(told.file), **asdict(packed), "aside": [str(path) for path in aside]}
    kept = f"What stood there is kept in: {', '.join(map(str, aside))}" if aside else ""
    return tell(told, facts, f"Restored and verified: {_said(packed)}.", kept)


def _collected(registry: Registry, told: Told, slot: Slot) -> tuple[list[Waste], list[str]]:
    if told.yes:
        return collect(registry.root, slot, told.keep, told.at, told.who)
    return waste(registry.root, slot, told.at, told.keep), []


def _kept_rows(registry: Registry, told: Told, slot: Slot) -> list[dict[str, str]]:
    """What stays, and why."""
    stay = kept(registry.root, slot, told.at, told.keep)
    return [
        {"slot": str(slot), "version": each.version, "stays": ", ".join(each.reasons)}
        for each in stay
    ]


def _said(packed: Packed) -> str:
    size = f"{packed.bytes / 1e6:.1f} MB"
    return f"{len(packed.slots)} slots, {packed.versions} versions, {packed.files} files, {size}"
