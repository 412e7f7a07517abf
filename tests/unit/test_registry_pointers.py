"""The champion pointer: compare-and-swap, rollback chain, damage and unfinished moves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from registry import files, pointers
from registry.errors import RegistryError
from registry.files import locked
from registry.history import Mode, Pointer
from registry.slots import Slot
from registry.versions import Registry

AT = "2025-12-20T03:00:00+00:00"
SLOT = Slot.parse("upbit_hourly/KRW-SOL")
WHY: pointers.Because = {"reason": "gate", "who": "test", "at": AT}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    registry = Registry(tmp_path)
    for number in range(1, 6):
        registry.add(SLOT, {"model": f"model {number}".encode()}, AT)
    return tmp_path


@pytest.fixture
def place(root: Path) -> Path:
    return SLOT.folder(root)


def promote(root: Path, version: str, mode: Mode = "trade") -> Pointer:
    return pointers.move(root, SLOT, version, mode, **WHY)


def back(root: Path) -> str:
    return pointers.rollback(root, SLOT, at=AT, who="test", reason="worse").version


def damage(place: Path, version: str) -> None:
    shutil.rmtree(place / version)


def test_there_is_no_champion_at_first(root: Path) -> None:
    assert pointers.champion(root, SLOT) is None
    assert pointers.history(root, SLOT) == []


def test_every_move_raises_the_generation_and_is_told(root: Path) -> None:
    assert promote(root, "v0001", "observe") == Pointer("v0001", 1, "observe")
    assert promote(root, "v0003") == Pointer("v0003", 2, "trade")
    assert pointers.champion(root, SLOT) == Pointer("v0003", 2, "trade")
    told = [
        (m.generation, m.origin, m.to, m.mode, m.why, m.done) for m in pointers.history(root, SLOT)
    ]
    assert told == [
        (1, None, "v0001", "observe", "gate", True),
        (2, "v0001", "v0003", "trade", "gate", True),
    ]


def test_a_repeated_move_changes_nothing_and_another_mode_does(root: Path) -> None:
    first = promote(root, "v0001")
    assert promote(root, "v0001") == first
    assert len(pointers.history(root, SLOT)) == 1
    assert promote(root, "v0001", "observe") == Pointer("v0001", 2, "observe")


def test_a_move_from_an_outdated_generation_is_refused(root: Path) -> None:
    pointers.move(root, SLOT, "v0001", "trade", expected_generation=0, **WHY)
    with pytest.raises(RegistryError, match="Found: generation 1; expected: generation 0"):
        pointers.move(root, SLOT, "v0002", "trade", expected_generation=0, **WHY)
    moved = pointers.move(root, SLOT, "v0002", "trade", expected_generation=1, **WHY)
    assert moved.generation == 2


def test_a_damaged_version_never_becomes_champion(root: Path, place: Path) -> None:
    promote(root, "v0001")
    (place / "v0002/model").unlink()
    (place / "v0002/model").write_bytes(b"model X")
    with pytest.raises(RegistryError, match="v0002/model"):
        promote(root, "v0002")
    with pytest.raises(RegistryError, match="no such version"):
        promote(root, "v0042")
    with pytest.raises(RegistryError, match="not a mode"):
        promote(root, "v0003", "live")  # type: ignore[arg-type]
    assert [made.to for made in pointers.history(root, SLOT)] == ["v0001"]


def test_a_moment_without_zone_moves_nothing(root: Path) -> None:
    with pytest.raises(RegistryError, match="not a moment"):
        pointers.move(root, SLOT, "v0001", "trade", reason="", who="", at="now")
    assert pointers.champion(root, SLOT) is None


def test_rollbacks_go_further_and_further_back(root: Path) -> None:
    for version in ("v0001", "v0002", "v0003", "v0004"):
        promote(root, version)
    assert [back(root) for _ in range(3)] == ["v0003", "v0002", "v0001"]
    with pytest.raises(RegistryError, match="no earlier champion"):
        back(root)
    champion = pointers.champion(root, SLOT)
    assert champion == Pointer("v0001", 7, "trade")


def test_a_version_taken_back_is_not_gone_back_to(root: Path) -> None:
    for version in ("v0001", "v0002", "v0003"):
        promote(root, version)
    assert back(root) == "v0002"
    promote(root, "v0004")
    assert [back(root), back(root)] == ["v0002", "v0001"]


def test_a_rollback_brings_back_the_mode_and_skips_changes_of_mode(root: Path) -> None:
    promote(root, "v0001", "observe")
    promote(root, "v0001", "trade")
    promote(root, "v0002", "observe")
    promote(root, "v0002", "trade")
    assert pointers.rollback(root, SLOT, AT, "test", "x") == Pointer("v0001", 5, "trade")
    with pytest.raises(RegistryError, match="no earlier champion"):
        back(root)


def test_a_rollback_to_a_damaged_version_names_the_next(root: Path, place: Path) -> None:
    promote(root, "v0001", "observe")
    for version in ("v0002", "v0003", "v0004"):
        promote(root, version)
    damage(place, "v0003")
    damage(place, "v0002")
    with pytest.raises(RegistryError, match=r"v0003 is damaged.*promote v0001 --mode observe"):
        back(root)
    damage(place, "v0001")
    with pytest.raises(RegistryError, match="no earlier champion is intact"):
        back(root)
    assert pointers.champion(root, SLOT) == Pointer("v0004", 4, "trade")


def test_a_rollback_leaves_a_damaged_champion(root: Path, place: Path) -> None:
    promote(root, "v0001")
    promote(root, "v0002")
    damage(place, "v0002")
    assert back(root) == "v0001"


def unfinished_move(place: Path, version: str) -> None:
    """What a process leaves that is killed after the announcement."""
    pointer = (place / "champion.json").read_bytes()
    promote(place.parents[1], version)
    (place / "champion.json").write_bytes(pointer)


def test_an_unfinished_move_did_not_happen(root: Path, place: Path) -> None:
    promote(root, "v0001")
    promote(root, "v0002")
    unfinished_move(place, "v0003")
    assert pointers.champion(root, SLOT) == Pointer("v0002", 2, "trade")
    assert [made.done for made in pointers.history(root, SLOT)] == [True, True, False]
    assert promote(root, "v0004") == Pointer("v0004", 4, "trade")
    assert [made.done for made in pointers.history(root, SLOT)] == [True, True, False, True]
    assert [back(root), back(root)] == ["v0002", "v0001"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b'"v0001"', b"\xff", b"1" * 9000])
def test_a_damaged_pointer_serves_nothing_and_a_promotion_repairs_it(
    root: Path, place: Path, content: bytes
) -> None:
    promote(root, "v0001")
    promote(root, "v0002")
    (place / "champion.json").write_bytes(content)
    for refusal in (
        lambda: pointers.champion(root, SLOT),
        lambda: back(root),
        lambda: pointers.move(root, SLOT, "v0003", "trade", expected_generation=2, **WHY),
    ):
        with pytest.raises(RegistryError, match="not to be trusted"):
            refusal()
    assert promote(root, "v0002") == Pointer("v0002", 3, "trade")
    assert Registry(root).verify() == []
    assert back(root) == "v0001"


def test_a_lost_pointer_is_no_fresh_start(root: Path, place: Path) -> None:
    promote(root, "v0001")
    promote(root, "v0002")
    (place / "champion.json").unlink()
    with pytest.raises(RegistryError, match="missing, though the history tells of generation 1"):
        pointers.champion(root, SLOT)


def test_a_pointer_put_back_from_an_old_copy_is_found(root: Path, place: Path) -> None:
    promote(root, "v0001")
    old = (place / "champion.json").read_bytes()
    promote(root, "v0002")
    promote(root, "v0003")
    (place / "champion.json").write_bytes(old)
    with pytest.raises(RegistryError, match="generation 1, though the history tells of 2"):
        pointers.champion(root, SLOT)


def test_a_changed_line_of_the_history_is_found_and_not_rolled_back_over(
    root: Path, place: Path
) -> None:
    for version in ("v0001", "v0002", "v0003"):
        promote(root, version)
    path = place / "history.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    lines[1] = lines[1].replace('"to": "v0002"', '"to": "v0005"')
    path.write_text("".join(lines))
    assert pointers.champion(root, SLOT) == Pointer("v0003", 3, "trade")
    (finding,) = Registry(root).verify()
    assert finding.what == "history.jsonl: line 2 is damaged"
    with pytest.raises(RegistryError, match="no earlier champion"):
        back(root)


@pytest.mark.parametrize(
    "change",
    [{"generation": "2"}, {"start": 2}, {"mode": "live"}, {"to": "../v0001"}, {"extra": 1}],
)
def test_a_line_that_is_no_move_is_found(
    root: Path, place: Path, change: dict[str, object]
) -> None:
    promote(root, "v0001")
    promote(root, "v0002")
    path = place / "history.jsonl"
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{json.dumps({**json.loads(second), **change})}\n")
    told = {finding.what.split(":")[0] for finding in Registry(root).verify()}
    assert told == {"champion.json", "history.jsonl"}
    assert promote(root, "v0003").generation == 3


def test_a_slot_that_does_not_exist_is_not_made(root: Path) -> None:
    with pytest.raises(RegistryError, match="no such slot"):
        pointers.move(root, Slot("upbit_hourly", "KRW-ETH"), "v0001", "trade", **WHY)
    assert not (root / "upbit_hourly/KRW-ETH").exists()


def test_a_writer_that_hangs_is_told_of(
    root: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 7))
    naps: list[float] = []
    monkeypatch.setattr(files.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(files.time, "sleep", naps.append)
    with locked(place), pytest.raises(RegistryError, match="more than 60 s"):
        promote(root, "v0001")
    assert len(naps) == 8
    assert promote(root, "v0001").generation == 1


def test_a_reader_between_two_moves_sees_one_or_the_other(
    root: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(root, "v0001")
    versions = iter(["v0002", "v0003"])
    read = files.Journal.read.__func__  # type: ignore[attr-defined]

    def overtaken(cls: type[files.Journal], path: Path) -> files.Journal:
        for version in versions:
            monkeypatch.setattr(files.Journal, "read", classmethod(read))
            promote(root, version)
        return read(cls, path)

    monkeypatch.setattr(files.Journal, "read", classmethod(overtaken))
    assert pointers.champion(root, SLOT) == Pointer("v0003", 3, "trade")
