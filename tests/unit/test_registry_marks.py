"""Challenger and pinned: compare-and-swap, repetition, damage that is told and settled."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry import pointers
from registry.errors import RegistryError
from registry.marks import MARKS, damaged_marks, mark, marked, marks
from registry.slots import Slot
from registry.versions import Registry

AT = "2025-12-20T03:00:00+00:00"
SLOT = Slot.parse("upbit_hourly/KRW-SOL")
WHY: pointers.Because = {"reason": "kept for a look", "who": "test", "at": AT}


def expecting(generation: int) -> pointers.Because:
    return {**WHY, "expected_generation": generation}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(2):
        Registry(tmp_path).add(SLOT, {"model": f"{number}".encode()}, AT)
    return tmp_path


def test_roles_point_on_their_own(root: Path) -> None:
    assert marked(root, SLOT, "pinned") is None
    mark(root, SLOT, "pinned", "v0001", **WHY)
    mark(root, SLOT, "challenger", "v0002", **WHY)
    mark(root, SLOT, "pinned", "v0002", **WHY)
    found = [(made.generation, made.role, made.origin, made.version) for made in marks(root, SLOT)]
    assert found == [
        (1, "pinned", None, "v0001"),
        (2, "challenger", None, "v0002"),
        (3, "pinned", "v0001", "v0002"),
    ]
    mark(root, SLOT, "challenger", None, **WHY)
    assert marked(root, SLOT, "challenger") is None
    pinned = marked(root, SLOT, "pinned")
    assert pinned is not None
    assert (pinned.version, pinned.why, pinned.who) == ("v0002", "kept for a look", "test")


def test_a_repeated_request_changes_nothing(root: Path) -> None:
    first = mark(root, SLOT, "pinned", "v0001", **WHY)
    assert mark(root, SLOT, "pinned", "v0001", **WHY) == first
    mark(root, SLOT, "challenger", None, **WHY)
    assert len(marks(root, SLOT)) == 1


def test_a_move_from_an_outdated_generation_is_refused(root: Path) -> None:
    mark(root, SLOT, "pinned", "v0001", **expecting(0))
    with pytest.raises(RegistryError, match="Found: generation 1; expected: generation 0"):
        mark(root, SLOT, "pinned", "v0002", **expecting(0))
    mark(root, SLOT, "pinned", "v0002", **expecting(1))


def test_a_damaged_version_gets_no_role(root: Path) -> None:
    (SLOT.folder(root) / "v0001/model").unlink()
    with pytest.raises(RegistryError, match="a file is missing"):
        mark(root, SLOT, "pinned", "v0001", **WHY)


def test_a_damaged_line_is_told_until_the_role_moves_again(root: Path) -> None:
    mark(root, SLOT, "challenger", "v0001", **WHY)
    mark(root, SLOT, "pinned", "v0001", **WHY)
    path = SLOT.folder(root) / MARKS
    path.write_bytes(path.read_bytes().replace(b'"pinned"', b'"binned"'))
    for role in ("pinned", "challenger"):
        with pytest.raises(RegistryError, match="line 2 is damaged"):
            marked(root, SLOT, role)
    assert damaged_marks(root, SLOT) == (2,)
    assert [finding.what for finding in Registry(root).verify()] == [
        "marks.jsonl: line 2 is damaged"
    ]
    mark(root, SLOT, "challenger", "v0001", **WHY)
    settled = marked(root, SLOT, "challenger")
    assert settled is not None
    assert (settled.version, settled.generation) == ("v0001", 3)


def test_every_flipped_bit_of_a_move_is_found(root: Path) -> None:
    mark(root, SLOT, "pinned", "v0001", **WHY)
    path = SLOT.folder(root) / MARKS
    intact = path.read_bytes()
    for at in range(len(intact) - 1):
        changed = bytearray(intact)
        changed[at] ^= 1 << (at % 7)
        path.write_bytes(bytes(changed))
        if b"\n" in bytes(changed)[:-1]:
            continue
        with pytest.raises(RegistryError, match="is damaged"):
            marked(root, SLOT, "pinned")
