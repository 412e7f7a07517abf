"""Adding, listing, opening and verifying versions; damage is told before anything is parsed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from registry import pointers
from registry.errors import RegistryError
from registry.files import Journal, append_record, sha256
from registry.slots import Slot, version_name, version_number
from registry.versions import Added, Registry

AT = "2025-12-20T03:00:00+00:00"
SLOT = Slot.parse("upbit_hourly@replay/KRW-SOL")
FILES = {"card.json": b'{"as_of": "2025-12-20T00:00Z"}', "heads/direction/model.txt": b"trees" * 9}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "registry")
    registry.add(SLOT, FILES, AT, note={"run": "demo"})
    pointers.move(registry.root, SLOT, "v0001", "trade", reason="first", who="test", at=AT)
    return registry


def overwrite(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def test_a_version_gives_back_the_bytes_it_was_given(registry: Registry) -> None:
    bundle = registry.open(SLOT)
    assert bundle.version == "v0001"
    assert {name: bundle.read(name) for name in bundle.names} == FILES
    assert bundle.card() == registry.card(SLOT) == {"as_of": "2025-12-20T00:00Z"}
    assert bundle.digest == registry.digest(SLOT, "v0001")
    with pytest.raises(RegistryError, match="no such file"):
        bundle.read("heads/direction/other.txt")


def test_the_layout_on_disk_is_the_documented_one(registry: Registry) -> None:
    place = registry.root / "upbit_hourly@replay" / "KRW-SOL"
    manifest = json.loads((place / "v0001/manifest.json").read_bytes())
    model = FILES["heads/direction/model.txt"]
    assert manifest["format"] == 1
    assert manifest["files"]["heads/direction/model.txt"] == {
        "sha256": sha256(model),
        "size": len(model),
    }
    event = json.loads((place / "v0001.events.jsonl").read_text())
    assert event["event"] == "registered"
    assert (event["at"], event["digest"], event["note"]) == (
        AT,
        manifest["digest"],
        {"run": "demo"},
    )
    pointer = json.loads((place / "champion.json").read_text())
    assert pointer == {"version": "v0001", "generation": 1, "mode": "trade"}
    line = json.loads((place / "history.jsonl").read_text())
    assert {**line, "start": 0, "action": "promote"} == line
    told = {name: line[name] for name in ("generation", "from", "to", "mode", "who", "why", "at")}
    assert told == {
        "generation": 1,
        "from": None,
        "to": "v0001",
        "mode": "trade",
        "who": "test",
        "why": "first",
        "at": AT,
    }


def test_the_same_bytes_are_the_same_version(registry: Registry) -> None:
    assert registry.add(SLOT, dict(reversed(FILES.items())), AT) == Added("v0001", created=False)
    assert registry.add(SLOT, {"card.json": b"{}"}, AT) == Added("v0002", created=True)
    assert registry.add(SLOT, FILES, AT) == Added("v0001", created=False)
    assert [info.version for info in registry.versions(SLOT)] == ["v0001", "v0002"]


def test_the_same_bytes_replace_a_damaged_version(registry: Registry) -> None:
    overwrite(SLOT.folder(registry.root) / "v0001/card.json", b"{}")
    assert registry.add(SLOT, FILES, AT) == Added("v0002", created=True)
    assert registry.open(SLOT, "v0002").read("card.json") == FILES["card.json"]


def test_slots_keep_apart(registry: Registry) -> None:
    markets = ("KRW-BTC", "KRW-ETH", "KRW-XRP")
    for market in markets:
        registry.add(Slot("upbit_hourly", market), {"model": market.encode()}, AT)
    told = [f"upbit_hourly/{market}" for market in markets]
    assert [str(slot) for slot in registry.slots()] == [*told, str(SLOT)]
    for market in markets:
        bundle = registry.open(Slot("upbit_hourly", market), "v0001")
        assert bundle.read("model") == market.encode()


def test_a_card_of_another_slot_is_refused(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="belongs to another slot"):
        registry.add(SLOT, {"card.json": b'{"slot": "upbit_hourly/KRW-BTC"}'}, AT)


def test_every_flipped_bit_is_found_and_the_file_named(registry: Registry) -> None:
    folder = SLOT.folder(registry.root) / "v0001"
    for name in ("card.json", "heads/direction/model.txt", "manifest.json"):
        path = folder / name
        intact = path.read_bytes()
        for offset in range(len(intact)):
            changed = bytearray(intact)
            changed[offset] ^= 1 << (offset % 8)
            overwrite(path, bytes(changed))
            with pytest.raises(RegistryError, match=name):
                registry.open(SLOT)
        overwrite(path, intact)
    assert registry.open(SLOT).version == "v0001"


def test_every_flipped_bit_of_the_pointer_is_found(registry: Registry) -> None:
    registry.add(SLOT, {"other": b""}, AT)
    for version in ("v0002", "v0001"):
        pointers.move(registry.root, SLOT, version, "trade", reason="x", who="x", at=AT)
    path = SLOT.folder(registry.root) / "champion.json"
    intact = path.read_bytes()
    for offset in range(len(intact)):
        for bit in range(8):
            changed = bytearray(intact)
            changed[offset] ^= 1 << bit
            path.write_bytes(bytes(changed))
            with pytest.raises(RegistryError, match=r"champion\.json"):
                registry.open(SLOT)


@pytest.mark.parametrize("name", ["card.json", "manifest.json", "heads/direction/model.txt"])
@pytest.mark.parametrize("keep", [0, 1, -1])
def test_a_cut_file_is_found(registry: Registry, name: str, keep: int) -> None:
    path = SLOT.folder(registry.root) / "v0001" / name
    overwrite(path, path.read_bytes()[:keep])
    with pytest.raises(RegistryError, match=name):
        registry.open(SLOT)
    (finding,) = registry.verify()
    assert (finding.slot, finding.version) == (str(SLOT), "v0001")
    assert name in finding.what


def test_a_longer_file_is_found(registry: Registry) -> None:
    path = SLOT.folder(registry.root) / "v0001/card.json"
    overwrite(path, path.read_bytes() + b" ")
    with pytest.raises(RegistryError, match=r"too long .*card\.json"):
        registry.open(SLOT)
    with pytest.raises(RegistryError, match=r"too long .*card\.json"):
        registry.card(SLOT)


@pytest.mark.parametrize("name", ["extra.txt", "heads/extra.txt", ".hidden", "empty/"])
def test_an_extra_entry_is_found(registry: Registry, name: str) -> None:
    path = SLOT.folder(registry.root) / "v0001" / name
    path.mkdir() if name.endswith("/") else path.write_bytes(b"")
    with pytest.raises(RegistryError, match=f"not in the manifest .*{name.strip('/')}"):
        registry.open(SLOT)


@pytest.mark.parametrize("name", ["card.json", "manifest.json", "heads/direction/model.txt"])
def test_a_missing_file_is_found(registry: Registry, name: str) -> None:
    (SLOT.folder(registry.root) / "v0001" / name).unlink()
    with pytest.raises(RegistryError, match=name):
        registry.open(SLOT)


@pytest.mark.parametrize("name", ["card.json", "manifest.json", "heads"])
def test_a_link_is_refused_though_its_bytes_are_right(registry: Registry, name: str) -> None:
    path = SLOT.folder(registry.root) / "v0001" / name
    elsewhere = registry.root / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(RegistryError, match=name):
        registry.open(SLOT)


def test_a_linked_version_is_none(registry: Registry) -> None:
    place = SLOT.folder(registry.root)
    (place / "v0002").symlink_to(place / "v0001")
    shutil.copy(place / "v0001.events.jsonl", place / "v0002.events.jsonl")
    with pytest.raises(RegistryError, match="no such version"):
        registry.open(SLOT, "v0002")


def test_a_pipe_in_place_of_a_file_does_not_hang(registry: Registry) -> None:
    path = SLOT.folder(registry.root) / "v0001/card.json"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RegistryError, match=r"not a plain file .*card\.json"):
        registry.open(SLOT)


def test_a_consistently_forged_version_is_not_what_was_registered(registry: Registry) -> None:
    forged = Registry(registry.root.parent / "forged")
    forged.add(SLOT, {**FILES, "card.json": b'{"as_of": "2099-01-01T00:00Z"}'}, AT)
    own, other = (SLOT.folder(each.root) / "v0001" for each in (registry, forged))
    shutil.rmtree(own)
    shutil.copytree(other, own)
    with pytest.raises(RegistryError, match="not what was registered"):
        registry.open(SLOT)


def test_a_version_without_its_journal_is_refused(registry: Registry) -> None:
    (SLOT.folder(registry.root) / "v0001.events.jsonl").unlink()
    with pytest.raises(RegistryError, match=r"v0001\.events\.jsonl"):
        registry.open(SLOT)
    assert [info.digest for info in registry.versions(SLOT)] == [None]


def test_a_lost_folder_is_told_and_its_number_not_used_again(registry: Registry) -> None:
    registry.add(SLOT, {"a": b"a"}, AT)
    shutil.rmtree(SLOT.folder(registry.root) / "v0002")
    (finding,) = registry.verify(SLOT)
    assert (finding.version, finding.what) == ("v0002", "was registered, but its folder is gone")
    assert registry.add(SLOT, {"b": b"b"}, AT).version == "v0003"


def test_what_a_killed_process_left_is_swept_at_the_next_add(registry: Registry) -> None:
    place = SLOT.folder(registry.root)
    (place / ".tmp-v0002/heads").mkdir(parents=True)
    (place / ".tmp-v0002/heads/half").write_bytes(b"half")
    (place / "v0002.events.jsonl").write_bytes(b'{"event": "registered"}\n')
    (place / ".champion.json.77.abcd.tmp").write_bytes(b"{")
    assert registry.verify() == []
    assert registry.add(SLOT, {"a": b"a"}, AT) == Added("v0002", created=True)
    assert registry.open(SLOT, "v0002").read("a") == b"a"
    assert [path.name for path in place.iterdir() if path.name.startswith(".")] == [".lock"]


def test_events_are_kept_beside_the_version(registry: Registry) -> None:
    before = registry.digest(SLOT, "v0001")
    registry.note(SLOT, "v0001", "gate", AT, outcome="promote", skill=0.03)
    registered, gate = registry.events(SLOT, "v0001")
    assert registered["event"] == "registered"
    assert gate == {"event": "gate", "at": AT, "outcome": "promote", "skill": 0.03}
    assert registry.open(SLOT).digest == before


def test_a_cut_event_never_happened_and_a_damaged_one_is_told(registry: Registry) -> None:
    path = SLOT.folder(registry.root) / "v0001.events.jsonl"
    with path.open("ab") as file:
        file.write(b'{"event": "ga')
    assert len(registry.events(SLOT, "v0001")) == 1
    registry.note(SLOT, "v0001", "promoted", AT)
    assert [event["event"] for event in registry.events(SLOT, "v0001")] == [
        "registered",
        "promoted",
    ]
    path.write_bytes(path.read_bytes().replace(b'{"event": "promoted"', b'["event": "promoted"'))
    (finding,) = registry.verify()
    assert finding.what == "v0001.events.jsonl: line 2 is damaged"


@pytest.mark.parametrize(
    ("event", "at", "facts", "told"),
    [
        ("registered", AT, {}, "not an event"),
        ("Gate\n", AT, {}, "not an event"),
        ("gate", "yesterday", {}, "not a moment"),
        ("gate", "2025-12-20T03:00:00", {}, "not a moment"),
        ("gate", AT, {"skill": float("nan")}, "cannot be written as JSON"),
        ("gate", AT, {"skill": object()}, "cannot be written as JSON"),
    ],
)
def test_an_unsound_event_is_refused(
    registry: Registry, event: str, at: str, facts: dict[str, object], told: str
) -> None:
    with pytest.raises(RegistryError, match=told):
        registry.note(SLOT, "v0001", event, at, **facts)
    assert len(registry.events(SLOT, "v0001")) == 1


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", ".a", "a/.b", "a\\b", "a b", "a\n", "C:a",
     "manifest.json", "Manifest.JSON", "manifest.json/a", "CARD.json", "card.json/a", "x" * 101,
     "/".join("abcdefghi"), "é", "\ud800"],
)  # fmt: skip
def test_a_hostile_file_name_is_refused_and_nothing_written(tmp_path: Path, name: str) -> None:
    registry = Registry(tmp_path / "registry")
    with pytest.raises(RegistryError, match="file name"):
        registry.add(SLOT, {**FILES, name: b"x"}, AT)
    assert list(tmp_path.iterdir()) == []


def test_a_version_needs_files_and_a_moment(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    with pytest.raises(RegistryError, match="without files"):
        registry.add(SLOT, {}, AT)
    with pytest.raises(RegistryError, match="not a moment"):
        registry.add(SLOT, FILES, "2025-12-20")
    with pytest.raises(RegistryError, match="as JSON"):
        registry.add(SLOT, FILES, AT, note={"skill": float("inf")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", ["../v0001", "v1", "v0000", "v00001", "", "v0001/", "V0001"])
def test_only_version_names_open_a_version(registry: Registry, version: str) -> None:
    with pytest.raises(RegistryError, match="is not a version"):
        registry.open(SLOT, version)


def test_what_does_not_exist_is_told_with_what_does(registry: Registry) -> None:
    with pytest.raises(RegistryError, match=r"no such version .*v0009; expected: one of v0001"):
        registry.open(SLOT, "v0009")
    with pytest.raises(RegistryError, match="no version yet"):
        registry.open(Slot("upbit_hourly", "KRW-BTC"))
    with pytest.raises(RegistryError, match="no such slot"):
        registry.verify(Slot("upbit_hourly", "KRW-BTC"))


def test_versions_are_listed_in_order_of_their_numbers(registry: Registry) -> None:
    place = SLOT.folder(registry.root)
    (place / "v9999").mkdir()
    assert registry.add(SLOT, {"a": b"a"}, AT).version == "v10000"
    assert [info.version for info in registry.versions(SLOT)] == ["v0001", "v9999", "v10000"]
    assert [version_number(version_name(n)) for n in (1, 9999, 10000)] == [1, 9999, 10000]


def test_strangers_among_the_folders_are_not_slots(registry: Registry) -> None:
    (registry.root / "README.md").write_text("x")
    (registry.root / ".git/objects").mkdir(parents=True)
    (registry.root / "upbit_hourly@replay/notes.txt").write_text("x")
    assert registry.slots() == [SLOT]


def test_a_journal_drops_a_cut_line_before_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"at": 1}\n[1]\n\xff\n{"at"')
    assert Journal.read(path) == Journal(records=((1, {"at": 1}),), damaged=(2, 3))
    append_record(path, {"at": AT})
    assert Journal.read(path).records == ((1, {"at": 1}), (4, {"at": AT}))


def test_a_disk_that_takes_a_few_bytes_at_a_time_gets_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:7]))
    registry = Registry(tmp_path)
    registry.add(SLOT, FILES, AT)
    pointers.move(tmp_path, SLOT, "v0001", "observe", reason="first", who="test", at=AT)
    assert dict(registry.open(SLOT).contents) == FILES
    assert registry.verify() == []
