"""Verbs that move a pointer or say something of a version: promote, rollback, pin, tag, sign."""

from __future__ import annotations

import re
from dataclasses import asdict

from registry import pointers
from registry.errors import RegistryError
from registry.events import TAGGED, UNTAGGED, promoted_by_gate, tags
from registry.files import refused
from registry.history import Mode, Pointer
from registry.marks import mark, marked
from registry.pending import PENDING, pending
from registry.slots import Slot
from registry.verbs.telling import ME, Told, reason, tell
from registry.versions import Registry

NONE = "none"
_SERVED = {"observe": "signals, no decisions", "trade": "signals and decisions"}
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def promote(registry: Registry, told: Told) -> int:
    """Make a version champion; it trades only where the gate said so or a person confirms it."""
    pointers.existing(registry.root, told.slot)
    if told.wait and not told.when_flat:
        raise refused("--wait says how long --when-flat waits", where=ME, fix="give both")
    before = _before(registry, told.slot)
    mode, why = _mode(registry, told, before)
    told.check(registry, told.slot, told.version)
    after = _moved(registry, told, mode)
    undo = f"{ME} rollback {told.slot}"
    if before and before.version == after.version:
        undo = _promotion(registry, told.slot, before)
    return _tell_move(told, before, after, undo, why)


def rollback(registry: Registry, told: Told) -> int:
    """Go back to the champion before, in the mode it had."""
    before = _before(registry, told.slot)
    after = pointers.rollback(registry.root, told.slot, told.at, told.who, reason(told))
    undo = _promotion(registry, told.slot, before) if before else ""
    return _tell_move(told, before, after, undo, "")


def pin(registry: Registry, told: Told) -> int:
    """Let the pinned or the challenger pointer stand on a version, or on none."""
    before = marked(registry.root, told.slot, told.role) if _readable(registry, told) else None
    version = None if told.version == NONE else told.version
    if told.role == PENDING and version is not None:
        fix = f"{ME} promote {told.slot} {version} --when-flat"
        raise refused("a version is left pending by what waits for it", where=ME, fix=fix)
    because: pointers.Because = {"reason": reason(told), "who": told.who, "at": told.at}
    made = mark(registry.root, told.slot, told.role, version, **because)
    facts = {"slot": str(told.slot), "role": told.role}
    facts |= {"before": before.version if before else None, "after": made.version if made else None}
    now = f"{made.version} is {told.role} of {told.slot} now" if made else f"nothing is {told.role}"
    undo = f"{ME} pin {told.slot} {before.version if before else NONE} --as {told.role}"
    if told.role == PENDING and before:
        undo = f"{ME} promote {told.slot} {before.version} --when-flat"
    said = f"{now}; gc keeps it." if made else f"{now} of {told.slot} now."
    return tell(told, facts, said, f"To undo: {undo}")


def tag(registry: Registry, told: Told) -> int:
    """Give a version a tag, or take it away."""
    if not _TAG.fullmatch(told.tag):
        expected = "a word of letters, digits, '.', '_' and '-'"
        raise refused("is not a tag", found=repr(told.tag)[:200], expected=expected)
    carried = told.tag in tags(registry.events(told.slot, told.version))
    if carried == told.remove:
        event = UNTAGGED if told.remove else TAGGED
        registry.note(told.slot, told.version, event, told.at, tag=told.tag, who=told.who)
    now = tags(registry.events(told.slot, told.version))
    facts = {"slot": str(told.slot), "version": told.version, "tags": list(now)}
    return tell(told, facts, f"tags of {told.slot} {told.version}: {', '.join(now) or NONE}")


def sign(registry: Registry, told: Told) -> int:
    """Sign a version with the configured key."""
    registry.sign(told.slot, told.version, told.at, told.who)
    facts = {"slot": str(told.slot), "version": told.version, "signed": True}
    return tell(told, facts, f"{told.slot} {told.version} is signed; every byte of it is intact.")


def _moved(registry: Registry, told: Told, mode: Mode) -> Pointer:
    if told.when_flat:
        if told.serve is None:
            fix = f"{ME} promote … --when-flat positions=file positions.path=FILE"
            raise refused("who holds positions is not known to this command", where=ME, fix=fix)
        moved: Pointer = told.serve(registry, told, mode)
        return moved
    because: pointers.Because = {"reason": reason(told), "who": told.who, "at": told.at}
    return pointers.move(registry.root, told.slot, told.version, mode, **because)


def _mode(registry: Registry, told: Told, before: Pointer | None) -> tuple[Mode, str]:
    """Mode of a promotion by hand, and why it is not the champion's where it is not."""
    trusted = promoted_by_gate(registry.events(told.slot, told.version))
    standing = before is not None and (before.version, before.mode) == (told.version, "trade")
    if told.trade and told.mode == "observe":
        raise refused("--trade and --mode observe contradict each other", where=ME)
    if told.trade or told.mode == "observe":
        return ("trade" if told.trade else "observe"), ""
    if told.mode == "trade" and not (trusted or standing):
        raise refused(
            "the gate did not say that this version may trade",
            where=f"{told.slot} {told.version}",
            fix=f"let it be observed, or confirm that it trades all the same: {ME} promote "
            f"{told.slot} {told.version} --trade",
        )
    waits = pending(registry, told.slot) if told.when_flat and told.mode is None else None
    if waits and waits.version == told.version:
        return waits.mode, ""
    if told.mode is None and before and before.mode == "trade" and not (trusted or standing):
        return "observe", (
            f"{before.version} traded; {told.version} is observed, for the gate did not promote "
            "it. To let it trade all the same: repeat with --trade."
        )
    return told.mode or (before.mode if before else "observe"), ""


def _promotion(registry: Registry, slot: Slot, pointer: Pointer) -> str:
    flag = f"--mode {pointer.mode}"
    try:
        trusted = promoted_by_gate(registry.events(slot, pointer.version))
    except RegistryError:
        trusted = False
    if pointer.mode == "trade" and not trusted:
        flag = "--trade"
    return f"{ME} promote {slot} {pointer.version} {flag}"


def _before(registry: Registry, slot: Slot) -> Pointer | None:
    try:
        return pointers.champion(registry.root, slot)
    except RegistryError:
        return None


def _readable(registry: Registry, told: Told) -> bool:
    try:
        marked(registry.root, told.slot, told.role)
    except RegistryError:
        return False
    return True


def _tell_move(told: Told, before: Pointer | None, after: Pointer, undo: str, why: str) -> int:
    steps = {"before": asdict(before) if before else None, "after": asdict(after)}
    facts = {"slot": str(told.slot), **steps}
    if before == after:
        line = f"{after.version} is champion of {told.slot} already (mode {after.mode})."
        return tell(told, facts, line)
    was = f"before it was {before.version} ({before.mode})" if before else "there was none before"
    line = f"{after.version} is champion of {told.slot} now, mode {after.mode}: "
    line += f"{_SERVED[after.mode]}; {was}."
    last = f"To undo: {undo}" if before else "There is no earlier champion to go back to."
    return tell(told, facts, line, why, last)
