"""The champion pointer and the history of its moves, read together and held against each other.

A move is announced in ``history.jsonl`` and then made by replacing ``champion.json``. Each line
carries the generation it starts from (`start`), so a line whose move a crash prevented is told
from one that happened: no later line, and not the pointer, stands on it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from registry.files import Journal, read_if_there, refused
from registry.slots import version_number

Mode = Literal["observe", "trade"]
Action = Literal["promote", "rollback"]
MODES: tuple[Mode, ...] = ("observe", "trade")
POINTER, HISTORY = "champion.json", "history.jsonl"
_READ_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Pointer:
    """The champion: signals only (`observe`) or signals and decisions (`trade`)."""

    version: str
    generation: int
    mode: Mode

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Move:
    """One announced move; `done` is False where a crash prevented it."""

    generation: int
    start: int
    action: Action
    origin: str | None
    to: str
    mode: Mode
    who: str
    why: str
    at: str
    done: bool = False

    def to_record(self) -> dict[str, Any]:
        """Line of the history; `origin` is called ``from`` there."""
        record = asdict(self)
        del record["done"]
        return {"from" if key == "origin" else key: value for key, value in record.items()}


@dataclass(frozen=True, slots=True)
class State:
    """What a slot's pointer and history say; `problem` is empty when they agree."""

    place: Path
    pointer: Pointer | None
    moves: tuple[Move, ...]
    damaged: tuple[int, ...]
    problem: str

    @classmethod
    def read(cls, place: Path) -> State:
        """Read both as they stood at one moment, without a lock."""
        for _ in range(_READ_ATTEMPTS):
            content = read_if_there(place / POINTER)
            journal = Journal.read(place / HISTORY)
            if read_if_there(place / POINTER) == content:
                break
        lines = {number: _move(record) for number, record in journal.records}
        moves = tuple(made for made in lines.values() if made)
        damaged = {*journal.damaged, *(number for number, made in lines.items() if not made)}
        damaged |= {number for number, made in lines.items() if made and not _fits(made, moves)}
        pointer = _pointer(content)
        problem = _contradiction(pointer, moves)
        if content is not None and pointer is None:
            problem = "it is damaged"
        return cls(place, pointer, moves, tuple(sorted(damaged)), problem)

    def sound_pointer(self) -> Pointer | None:
        """Take the pointer, or raise RegistryError when the two disagree."""
        if self.problem:
            raise refused(
                "the champion pointer is not to be trusted",
                where=self.place / POINTER,
                found=self.problem,
                fix="look at the history and promote the version that is to be served",
            )
        return self.pointer

    def assumed_pointer(self) -> Pointer | None:
        """Take the pointer, or the last announced move in its place when it is damaged."""
        if not self.problem or not self.moves:
            return self.pointer
        last = self.moves[-1]
        return Pointer(last.to, last.generation, last.mode)

    def chain(self) -> list[Move]:
        """List the moves that happened, oldest first, as far back as the lines fit each other."""
        by_generation = {move.generation: move for move in self.moves}
        generation = self.pointer.generation if self.pointer else 0
        found: list[Move] = []
        while reached := by_generation.pop(generation, None):
            if found and found[-1].origin != reached.to:
                break
            found.append(reached)
            generation = reached.start
        return found[::-1]

    def next_generation(self) -> int:
        """Larger than every generation used, even by a line that cannot be read."""
        used = [move.generation for move in self.moves]
        used += [self.pointer.generation] if self.pointer else []
        return 1 + max([*used, len(self.moves) + len(self.damaged)])


def earlier_champions(moves: list[Move]) -> list[Move]:
    """Where rollbacks lead to, nearest first: each takes the newest champion away for good."""
    stack: list[Move] = []
    for made in moves:
        while made.action == "rollback" and stack and stack[-1].to != made.to:
            stack.pop()
        if stack and stack[-1].to == made.to:
            stack.pop()
        stack.append(made)
    return stack[-2::-1]


def _pointer(content: bytes | None) -> Pointer | None:
    try:
        pointer = Pointer(**json.loads(content or b""))
    except (ValueError, TypeError, RecursionError):
        return None
    sound = version_number(str(pointer.version)) and type(pointer.generation) is int
    return pointer if sound and pointer.mode in MODES and pointer.to_bytes() == content else None


def _move(record: dict[str, Any]) -> Move | None:
    told = {"origin" if key == "from" else key: value for key, value in record.items()}
    try:
        made = Move(**told)
    except TypeError:
        return None
    numbers = type(made.generation) is int and type(made.start) is int
    sound = numbers and made.generation > made.start >= 0 and made.mode in MODES
    return made if sound and version_number(str(made.to)) else None


def _fits(made: Move, moves: tuple[Move, ...]) -> bool:
    return all(made.origin == other.to for other in moves if other.generation == made.start)


def _contradiction(pointer: Pointer | None, moves: tuple[Move, ...]) -> str:
    reached = max((made.start for made in moves), default=0)
    if pointer is None:
        return f"it is missing, though the history tells of generation {reached}" if reached else ""
    told = {(made.generation, made.to, made.mode) for made in moves}
    if (pointer.generation, pointer.version, pointer.mode) not in told:
        return f"generation {pointer.generation}, of which the history tells otherwise or nothing"
    if pointer.generation < reached:
        return f"generation {pointer.generation}, though the history tells of {reached}"
    return ""
