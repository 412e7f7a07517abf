"""With a key only what it signed is read; without one everything is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from registry import pointers
from registry.archive import backup, restore
from registry.errors import RegistryError
from registry.files import Journal
from registry.signing import KEY, KEY_FILE
from registry.slots import Slot
from registry.versions import Registry

AT = "2025-12-20T03:00:00+00:00"
SLOT, OTHER = Slot.parse("upbit_hourly/KRW-SOL"), Slot.parse("upbit_hourly/KRW-ETH")
FILES = {"card.json": b"{}"}


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv(KEY, "a key of sixteen letters")
    registry = Registry(tmp_path / "registry")
    registry.add(SLOT, FILES, AT)
    return registry


def test_a_signed_version_is_read_with_its_key_only(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert registry.open(SLOT, "v0001").digest
    monkeypatch.setenv(KEY, "another key of sixteen letters")
    for read in (registry.open, registry.card, registry.digest, registry.events):
        with pytest.raises(RegistryError, match="signed by another key"):
            read(SLOT, "v0001")
    monkeypatch.delenv(KEY)
    assert registry.open(SLOT, "v0001").digest
    (tmp_path / "key").write_text("a key of sixteen letters\n")
    monkeypatch.setenv(KEY_FILE, str(tmp_path / "key"))
    assert registry.open(SLOT, "v0001").digest
    monkeypatch.setenv(KEY_FILE, str(tmp_path / "none"))
    with pytest.raises(RegistryError, match="key cannot be read"):
        registry.open(SLOT, "v0001")


def test_an_unsigned_version_is_refused_until_it_is_signed(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY)
    registry.add(SLOT, {"card.json": b'{"as_of": "x"}'}, AT)
    with pytest.raises(RegistryError, match="no key to sign with"):
        registry.sign(SLOT, "v0002", AT, "test")
    monkeypatch.setenv(KEY, "a key of sixteen letters")
    with pytest.raises(RegistryError, match="is not signed"):
        pointers.move(registry.root, SLOT, "v0002", "trade", reason="x", who="x", at=AT)
    assert [finding.version for finding in registry.verify()] == ["v0002"]
    registry.sign(SLOT, "v0002", AT, "test")
    assert registry.verify() == []
    (registry.root / f"{SLOT}/v0002/card.json").unlink()
    with pytest.raises(RegistryError, match=r"missing .*card\.json"):
        registry.sign(SLOT, "v0002", AT, "test")


def test_a_signature_is_of_one_slot_and_version(registry: Registry) -> None:
    here, there = SLOT.folder(registry.root), OTHER.folder(registry.root)
    shutil.copytree(here / "v0001", there / "v0001")
    shutil.copy(here / "v0001.events.jsonl", there)
    shutil.copytree(here / "v0001", here / "v0002")
    shutil.copy(here / "v0001.events.jsonl", here / "v0002.events.jsonl")
    for slot, version in ((OTHER, "v0001"), (SLOT, "v0002")):
        with pytest.raises(RegistryError, match="signed by another key"):
            registry.open(slot, version)


def test_the_bundle_is_the_same_with_and_without_a_key(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY)
    plain = Registry(tmp_path / "plain")
    plain.add(SLOT, FILES, AT)
    assert plain.digest(SLOT, "v0001") == registry.digest(SLOT, "v0001")
    signed, unsigned = (
        dict(Journal.read(SLOT.folder(each.root) / "v0001.events.jsonl").records)[1]
        for each in (registry, plain)
    )
    assert signed.keys() - unsigned.keys() == {"signature"}


def test_signatures_survive_backup_and_restore(registry: Registry, tmp_path: Path) -> None:
    backup(registry, tmp_path / "backup.zip")
    other = Registry(tmp_path / "other")
    restore(other, tmp_path / "backup.zip")
    assert other.open(SLOT, "v0001") == registry.open(SLOT, "v0001")


def test_a_short_key_is_refused(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "short")
    with pytest.raises(RegistryError, match="too short"):
        registry.open(SLOT, "v0001")
