"""Which version of a slot is champion: reading, moving and rolling back the pointer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NotRequired, TypedDict, Unpack

from registry.errors import RegistryError
from registry.files import append_record, locked, refused, write_atomic
from registry.history import (
    HISTORY,
    MODES,
    POINTER,
    Action,
    Mode,
    Move,
    Pointer,
    State,
    earlier_champions,
)
from registry.manifest import read_bundle
from registry.slots import Slot


class Because(TypedDict):
    """Who moves the pointer, why and when (`at`: a moment with its zone).

    ``expected_generation`` makes the move a compare-and-swap; 0 expects no champion.
    """

    reason: str
    who: str
    at: str
    expected_generation: NotRequired[int | None]


def champion(root: Path, slot: Slot) -> Pointer | None:
    """Read which version is served; None before the first promotion.

    Raises
    ------
    RegistryError
        When the pointer is damaged, lost, or not what the history tells.
    """
    return State.read(slot.folder(root)).sound_pointer()


def history(root: Path, slot: Slot) -> list[Move]:
    """List the moves, oldest first; `Registry.verify` reports lines that cannot be read."""
    state = State.read(slot.folder(root))
    happened = state.chain()
    return [replace(made, done=made in happened) for made in state.moves]


def move(
    root: Path, slot: Slot, to_version: str, mode: Mode, **because: Unpack[Because]
) -> Pointer:
    """Make a version champion.

    A repeated request changes nothing. Without ``expected_generation`` the move also replaces
    a damaged pointer.

    Raises
    ------
    RegistryError
        When the version does not verify, or the champion changed since `expected_generation`.
    """
    place = existing(root, slot)
    if mode not in MODES:
        raise refused("is not a mode", found=repr(mode), expected=" or ".join(MODES))
    with locked(place):
        state = State.read(place)
        expected = because.get("expected_generation")
        if expected is not None:
            standing = state.sound_pointer()
            compared(standing.generation if standing else 0, expected, slot)
        read_bundle(place, to_version)
        return _swing(state, _Target(to_version, mode, "promote"), because)


def rollback(root: Path, slot: Slot, at: str, who: str, reason: str) -> Pointer:
    """Make the version that was champion before champion again, in the mode it had.

    A second rollback goes further back.

    Raises
    ------
    RegistryError
        When there was no champion before, or that version does not verify any more; the
        message then names the next intact one.
    """
    place = existing(root, slot)
    with locked(place):
        state = State.read(place)
        state.sound_pointer()
        earlier = earlier_champions(state.chain())
        if not earlier:
            fix = "register and promote another version"
            raise refused("there is no earlier champion to roll back to", where=slot, fix=fix)
        _check_intact(place, earlier)
        target = _Target(earlier[0].to, earlier[0].mode, "rollback")
        return _swing(state, target, {"reason": reason, "who": who, "at": at})


def standing_in(root: Path, slot: Slot) -> list[Pointer]:
    """List who may be served while the champion cannot be: earlier champions, nearest first.

    None is served in a wider mode than the champion's: who observed may not trade by accident.

    Raises
    ------
    RegistryError
        When the pointer is damaged, lost, or not what the history tells.
    """
    state = State.read(slot.folder(root))
    pointer = state.sound_pointer()
    if pointer is None:
        return []
    seen, found = {pointer.version}, []
    for made in earlier_champions(state.chain()):
        if made.to not in seen:
            seen.add(made.to)
            narrow: Mode = "trade" if (made.mode, pointer.mode) == ("trade", "trade") else "observe"
            found.append(Pointer(made.to, pointer.generation, narrow))
    return found


def existing(root: Path, slot: Slot) -> Path:
    """Folder of a slot that is there.

    Raises
    ------
    RegistryError
        When there is no such slot.
    """
    place = slot.folder(root)
    if not place.is_dir():
        raise refused("no such slot", where=root, found=str(slot), fix="registry list names them")
    return place


def compared(generation: int, expected: int, where: object) -> None:
    """Compare for a compare-and-swap.

    Raises
    ------
    RegistryError
        When the pointer is not at the generation that the caller looked at.
    """
    if generation != expected:
        raise refused(
            "the pointer changed in the meantime",
            where=where,
            found=f"generation {generation}",
            expected=f"generation {expected}",
            fix="look at where it points now and decide again",
        )


@dataclass(frozen=True, slots=True)
class _Target:
    version: str
    mode: Mode
    action: Action


def _swing(state: State, target: _Target, because: Because) -> Pointer:
    standing, wanted = state.pointer, (target.version, target.mode)
    if standing and not state.problem and (standing.version, standing.mode) == wanted:
        return standing
    assumed = state.assumed_pointer()
    announced = Move(
        generation=state.next_generation(),
        start=assumed.generation if assumed else 0,
        action=target.action,
        origin=assumed.version if assumed else None,
        to=target.version,
        mode=target.mode,
        who=because["who"],
        why=because["reason"],
        at=because["at"],
    )
    pointer = Pointer(target.version, announced.generation, target.mode)
    try:
        append_record(state.place / HISTORY, announced.to_record())
        write_atomic(state.place / POINTER, pointer.to_bytes())
    except OSError as error:
        raise refused(
            "the champion pointer cannot be written",
            where=state.place,
            found=str(error.strerror),
            fix="make room or give write access, and try again; repeating is harmless",
        ) from error
    return pointer


def _check_intact(place: Path, earlier: list[Move]) -> None:
    damage = _damage(place, earlier[0].to)
    if damage:
        intact = next((made for made in earlier[1:] if not _damage(place, made.to)), None)
        raise refused(
            f"the earlier champion {earlier[0].to} is damaged, so the pointer stays where it is",
            where=place,
            found=damage.rstrip("."),
            fix=f"promote {intact.to} --mode {intact.mode}, the next earlier champion"
            if intact
            else "register and promote another version; no earlier champion is intact",
        )


def _damage(place: Path, version: str) -> str:
    try:
        read_bundle(place, version)
    except RegistryError as error:
        return str(error)
    return ""
