"""Backup and restore, export and add: the same bytes come back, damage is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from registry import pointers
from registry.archive import backup, restore
from registry.errors import RegistryError
from registry.folders import export, read_folder
from registry.marks import mark
from registry.slots import Slot
from registry.versions import Registry
from tests.spine import files_below

AT = "2025-12-20T03:00:00+00:00"
SOL, ETH = Slot.parse("upbit_hourly@replay/KRW-SOL"), Slot.parse("demo/SIM-ETH")
WHY: pointers.Because = {"reason": "x", "who": "test", "at": AT}
FILES = {"card.json": b"{}", "heads/direction/model.txt": b"trees" * 99}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "registry")
    for slot in (SOL, ETH):
        registry.add(slot, FILES, AT)
        pointers.move(registry.root, slot, "v0001", "trade", **WHY)
    mark(registry.root, SOL, "pinned", "v0001", **WHY)
    return registry


def content(root: Path) -> dict[str, bytes]:
    found = files_below(root)
    return {name: told for name, told in found.items() if "/." not in f"/{name}"}


def test_a_backup_brings_everything_back(registry: Registry, tmp_path: Path) -> None:
    file, other = tmp_path / "backup.zip", Registry(tmp_path / "other/registry")
    packed = backup(registry, file)
    assert (packed.slots, packed.versions) == ((str(ETH), str(SOL)), 2)
    assert restore(other, file) == (packed, [])
    assert content(other.root) == content(registry.root)
    assert len(content(other.root)) == packed.files
    assert other.verify() == []
    assert (other.root / str(SOL) / "v0001/card.json").stat().st_mode & 0o222 == 0
    with pytest.raises(RegistryError, match="exists already"):
        backup(registry, file)


def test_the_same_registry_gives_the_same_backup(registry: Registry, tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        backup(registry, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_slots_that_exist_are_moved_aside_only_when_asked(
    registry: Registry, tmp_path: Path
) -> None:
    file = tmp_path / "backup.zip"
    backup(registry, file, [SOL])
    before = content(registry.root)
    (SOL.folder(registry.root) / "v0001/card.json").unlink()
    with pytest.raises(RegistryError, match=f"Found: {SOL}"):
        restore(registry, file)
    _, aside = restore(registry, file, replace=True)
    assert aside == [registry.root / ".replaced" / f"{SOL}.1"]
    assert (aside[0] / "champion.json").is_file()
    assert {n: c for n, c in content(registry.root).items() if ".replaced" not in n} == before
    assert registry.verify() == []
    assert [str(slot) for slot in registry.slots()] == [str(ETH), str(SOL)]
    assert restore(registry, file, replace=True)[1] == [registry.root / ".replaced" / f"{SOL}.2"]


def test_a_damaged_slot_is_not_backed_up(registry: Registry, tmp_path: Path) -> None:
    (SOL.folder(registry.root) / "v0001/card.json").unlink()
    with pytest.raises(RegistryError, match=r"a damaged slot .*KRW-SOL"):
        backup(registry, tmp_path / "backup.zip")
    assert not list(tmp_path.glob("*backup*"))
    assert backup(registry, tmp_path / "backup.zip", [ETH]).slots == (str(ETH),)


@pytest.mark.parametrize("name", ["../v", f"{SOL}/../x", f"{SOL}/.lock", "a", f"{SOL}/a\\b"])
def test_names_that_leave_a_slot_are_refused(registry: Registry, tmp_path: Path, name: str) -> None:
    backup(registry, tmp_path / "backup.zip")
    with zipfile.ZipFile(tmp_path / "backup.zip", "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(RegistryError, match="index of the backup is damaged"):
        restore(Registry(tmp_path / "other"), tmp_path / "backup.zip")
    assert not (tmp_path / "other").exists()


def test_a_forged_backup_does_not_get_in(registry: Registry, tmp_path: Path) -> None:
    """Its index is right, the version in it is not what its journal tells."""
    place = SOL.folder(registry.root)
    genuine = registry.verify
    model = place / "v0001/heads/direction/model.txt"
    model.unlink()
    model.write_bytes(b"other" * 99)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Registry, "verify", lambda *_: [])
        backup(registry, tmp_path / "backup.zip")
    assert genuine() != []
    with pytest.raises(RegistryError, match="does not verify"):
        restore(Registry(tmp_path / "other"), tmp_path / "backup.zip")
    assert not list((tmp_path / "other").glob("*"))


def test_an_exported_version_can_be_added_again(registry: Registry, tmp_path: Path) -> None:
    bundle = registry.open(SOL)
    export(bundle, tmp_path / "out")
    assert read_folder(tmp_path / "out") == FILES
    assert registry.add(SOL, read_folder(tmp_path / "out"), AT).created is False
    with pytest.raises(RegistryError, match="exists already"):
        export(bundle, tmp_path / "out")
    (tmp_path / "out/card.json").write_bytes(b"[]")
    with pytest.raises(RegistryError, match=r"damaged .*card\.json"):
        read_folder(tmp_path / "out")
    (tmp_path / "out/manifest.json").unlink()
    assert registry.add(SOL, {"card.json": b"{}"}, AT).version == "v0002"
    (tmp_path / "out/link").symlink_to(tmp_path)
    with pytest.raises(RegistryError, match="link"):
        read_folder(tmp_path / "out")
