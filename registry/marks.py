"""Pointers beside the champion: the challenger, the version that a person keeps, and the pending.

Each move is one line of ``marks.jsonl`` and the newest line of a role is where it points: there is
no second file that could tell otherwise. The line's number is the generation of the pointer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Unpack

from registry.files import Journal, append_record, locked, refused
from registry.manifest import read_bundle
from registry.pointers import Because, compared, existing
from registry.slots import Slot, version_number

Role = Literal["challenger", "pinned", "pending"]
ROLES: tuple[Role, ...] = ("challenger", "pinned", "pending")
MARKS = "marks.jsonl"
_SETTLED = {"pending": "none"}  # only who waits leaves a version pending


@dataclass(frozen=True, slots=True)
class Mark:
    """One move of a role; `version` is None where it was taken away."""

    generation: int
    role: Role
    origin: str | None
    version: str | None
    who: str
    why: str
    at: str


def marked(root: Path, slot: Slot, role: Role) -> Mark | None:
    """Read where a role points; None when it points nowhere.

    Raises
    ------
    RegistryError
        When a line after its newest one is damaged: that may have been a later move.
    """
    newest = _newest(slot.folder(root), role)
    return newest if newest and newest.version else None


def marks(root: Path, slot: Slot) -> list[Mark]:
    """List every move of every role, oldest first; damaged lines are left out."""
    return list(_read(slot.folder(root))[0])


def damaged_marks(root: Path, slot: Slot) -> tuple[int, ...]:
    """Numbers of complete lines that are no moves."""
    return _read(slot.folder(root))[1]


def mark(
    root: Path, slot: Slot, role: Role, version: str | None, **because: Unpack[Because]
) -> Mark | None:
    """Let a role point to a version, or nowhere; a repeated request changes nothing.

    Without ``expected_generation`` the move also settles what a damaged line left open.

    Raises
    ------
    RegistryError
        When the version does not verify, or the role moved since `expected_generation`.
    """
    place = existing(root, slot)
    with locked(place):
        moves, damaged = _read(place)
        before = next((made for made in reversed(moves) if made.role == role), None)
        expected = because.get("expected_generation")
        if expected is not None:
            settled = _newest(place, role)
            compared(settled.generation if settled else 0, expected, f"{slot}, {role}")
        if version is not None:
            read_bundle(place, version)
        standing = before.version if before else None
        open_still = before is None or any(line > before.generation for line in damaged)
        if standing == version and not (open_still and damaged):
            return before if version else None
        numbers = [0, *damaged, *(made.generation for made in moves)]
        told = {name: because[name] for name in ("who", "at")} | {"why": because["reason"]}
        made = Mark(max(numbers) + 1, role, standing, version, **told)
        _append(place, made)
        return made if version else None


def _append(place: Path, made: Mark) -> None:
    try:
        append_record(place / MARKS, asdict(made))
    except OSError as error:
        found, fix = str(error.strerror), "make room or give write access, and try again"
        what = f"the {made.role} pointer cannot be written"
        raise refused(what, where=place, found=found, fix=fix) from error


def _newest(place: Path, role: Role) -> Mark | None:
    moves, damaged = _read(place)
    newest = next((made for made in reversed(moves) if made.role == role), None)
    if unsure := [line for line in damaged if newest is None or line > newest.generation]:
        raise refused(
            f"where the {role} pointer points is not known",
            where=place / MARKS,
            found=f"line {unsure[0]} is damaged",
            fix=f"vintage registry pin SLOT {_SETTLED.get(role, 'VERSION')} --as {role}",
        )
    return newest


def _read(place: Path) -> tuple[tuple[Mark, ...], tuple[int, ...]]:
    journal = Journal.read(place / MARKS)
    lines = {number: _mark(number, record) for number, record in journal.records}
    damaged = {*journal.damaged, *(number for number, made in lines.items() if made is None)}
    return tuple(made for made in lines.values() if made), tuple(sorted(damaged))


def _mark(number: int, record: dict[str, Any]) -> Mark | None:
    try:
        made = Mark(**record)
    except TypeError:
        return None
    sound = made.generation == number and made.role in ROLES
    version = made.version
    return made if sound and (version is None or version_number(str(version))) else None
