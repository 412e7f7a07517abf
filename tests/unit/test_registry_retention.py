"""What gc keeps and deletes; a number is never given twice; damage stops it."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry import pointers
from registry.errors import RegistryError
from registry.marks import MARKS, mark
from registry.retention import collect, kept, waste
from registry.slots import Slot
from registry.versions import Registry

AT, SOON = "2025-12-20T03:00:00+00:00", "2025-12-20T03:59:59+00:00"
LATER = "2025-12-20T13:00:00+09:00"
SLOT = Slot.parse("upbit_hourly/KRW-SOL")
WHY: pointers.Because = {"reason": "x", "who": "test", "at": AT}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Eight versions: v0003 was champion before v0004, v0001 challenges, v0002 is pinned."""
    for number in range(8):
        Registry(tmp_path).add(SLOT, {"model": f"{number}".encode()}, AT)
    for version in ("v0003", "v0004"):
        pointers.move(tmp_path, SLOT, version, "trade", **WHY)
    mark(tmp_path, SLOT, "challenger", "v0001", **WHY)
    mark(tmp_path, SLOT, "pinned", "v0002", **WHY)
    return tmp_path


def versions(root: Path) -> list[str]:
    return [info.version for info in Registry(root).versions(SLOT)]


def test_everything_pointed_to_and_the_newest_stay(root: Path) -> None:
    reasons = {each.version: each.reasons for each in kept(root, SLOT, LATER, 2)}
    assert reasons == {
        "v0001": ("challenger",),
        "v0002": ("pinned",),
        "v0003": ("champion before",),
        "v0004": ("champion",),
        "v0007": ("one of the last 2",),
        "v0008": ("one of the last 2",),
    }
    found = waste(root, SLOT, LATER, 2)
    assert [(each.version, each.bytes > 0) for each in found] == [("v0005", True), ("v0006", True)]
    assert len(versions(root)) == 8
    gone, left = collect(root, SLOT, 2, LATER, "test")
    assert (gone, left) == (found, [])
    assert versions(root) == ["v0001", "v0002", "v0003", "v0004", "v0007", "v0008"]
    assert collect(root, SLOT, 2, LATER, "test") == ([], [])
    assert Registry(root).verify() == []
    assert pointers.rollback(root, SLOT, AT, "test", "worse").version == "v0003"


def test_a_young_version_waits_for_its_pointer(root: Path) -> None:
    assert waste(root, SLOT, SOON, 1) == []
    assert [each.version for each in waste(root, SLOT, LATER, 1)] == ["v0005", "v0006", "v0007"]


def test_a_number_is_never_given_twice(root: Path) -> None:
    collect(root, SLOT, 1, LATER, "test")
    with pytest.raises(RegistryError, match="no such version"):
        Registry(root).open(SLOT, "v0005")
    assert Registry(root).add(SLOT, {"model": b"4"}, AT).version == "v0009"


def test_what_killed_processes_left_is_swept(root: Path) -> None:
    place = SLOT.folder(root)
    (place / ".tmp-v0009/heads").mkdir(parents=True)
    (place / "v0009.events.jsonl").write_bytes(b"{}\n")
    (place / ".collected-v0005").mkdir()
    (place / ".champion.json.7.ab.tmp").write_bytes(b"{")
    _, left = collect(root, SLOT, 9, LATER, "test")
    assert left == [".champion.json.7.ab.tmp", ".tmp-v0009", ".collected-v0005"]
    assert [path.name for path in place.glob(".*")] == [".lock"]
    assert Registry(root).verify() == []


@pytest.mark.parametrize("name", ["champion.json", MARKS])
def test_nothing_is_deleted_while_a_pointer_is_damaged(root: Path, name: str) -> None:
    path = SLOT.folder(root) / name
    path.write_bytes(path.read_bytes()[:-9] + b"x\n")
    with pytest.raises(RegistryError, match=name):
        collect(root, SLOT, 1, LATER, "test")
    assert len(versions(root)) == 8


def test_the_newest_version_always_stays(root: Path) -> None:
    with pytest.raises(RegistryError, match="newest version is kept"):
        waste(root, SLOT, LATER, 0)
