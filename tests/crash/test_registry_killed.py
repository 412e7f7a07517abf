"""Kills at random moments, writers beside readers, and bytes that lie, on the registry.

Run as a script it forks: what a child writes carries one tag in every file, so that a reader can
tell a mixture from a version.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from registry import pointers
from registry.archive import backup, read_index
from registry.errors import RegistryError
from registry.marks import mark, marked
from registry.retention import collect
from registry.slots import Slot
from registry.versions import Registry
from tests.faults import CLEAN, ESCAPED, damaged
from tests.volume import volume

AT, LATER = "2025-12-20T03:00:00+00:00", "2025-12-21T03:00:00+00:00"
SLOT = Slot.parse("upbit_hourly/KRW-SOL")
WHY: pointers.Because = {"reason": "gate", "who": "test", "at": AT}
NAMES = ("card.json", "bundle.json", "heads/direction/model.txt", "predictions/direction.parquet")
WRITERS, READERS = 4, 8
KEPT = 200  # a writer may wait long between registering and promoting
MEMORY = Path("/dev/shm")
PUBLISH_ROUNDS, SECONDS, OFFSETS = 50, 3, 10
ROLLBACK_SECONDS = 1.0


def tagged(tag: str) -> dict[str, bytes]:
    return {name: json.dumps({"tag": tag}).encode() + b"\n" * 9000 for name in NAMES}


def tag_of(contents: dict[str, bytes]) -> str:
    tags = {json.loads(content)["tag"] for content in contents.values()}
    assert len(tags) == 1, f"a mixture of {tags}"
    return str(tags.pop())


def publish(root: Path, tag: str) -> None:
    registry = Registry(root)
    added = registry.add(SLOT, tagged(tag), AT)
    registry.note(SLOT, added.version, "judged", AT, outcome="promote")
    pointers.move(root, SLOT, added.version, "trade", **WHY)
    mark(root, SLOT, "challenger", added.version, **WHY)
    collect(root, SLOT, 5, LATER, "test")


def forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = ESCAPED
        try:
            work()
            code = CLEAN
        except (RegistryError, AssertionError, OSError) as error:
            os.write(2, f"{error!r}\n".encode())
        finally:
            os._exit(code)
    return child


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def wrong(root: Path, before: int) -> Iterator[str]:
    """What a reader sees that it should not: torn, mixed, or a pointer that went back."""
    registry = Registry(root)
    for info in registry.versions(SLOT):
        tag_of(dict(registry.open(SLOT, info.version).contents))
    pointer = pointers.champion(root, SLOT)
    if (pointer.generation if pointer else 0) < before:
        yield f"generation {pointer} after {before}"
    if pointer and registry.open(SLOT).version != pointer.version:
        yield "another champion opens"
    marked(root, SLOT, "challenger")
    yield from (finding.what for finding in registry.verify())


def rounds(folder: Path, count: int) -> dict[str, Any]:
    """Kill a publish at a random moment, again and again in the same slot."""
    chance, found, killed = random.Random(count), list[str](), 0
    publish(folder, "first")
    started = time.perf_counter()
    ended(forked(lambda: publish(folder, "timed")))
    longest = time.perf_counter() - started
    for number in range(count):
        pointer = pointers.champion(folder, SLOT)
        child = forked(lambda tag=str(number): publish(folder, tag))  # type: ignore[misc]
        time.sleep(chance.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        killed += ended(child) == -signal.SIGKILL
        try:
            found += wrong(folder, pointer.generation if pointer else 0)
        except (RegistryError, AssertionError) as error:
            found.append(f"round {number}: {error}")
    publish(folder, "last")
    left = [path.name for path in SLOT.folder(folder).glob(".*") if path.name != ".lock"]
    versions = len(Registry(folder).versions(SLOT))
    return {"killed": killed, "wrong": found, "left": left, "versions": versions}


def writer(root: Path, me: int, until: float) -> None:
    registry, chance, number = Registry(root), random.Random(me), 0
    while time.monotonic() < until:
        added = registry.add(SLOT, tagged(f"{me} {number}"), AT)
        pointers.move(root, SLOT, added.version, "observe", **WHY)
        if chance.random() < 0.1:
            pointers.rollback(root, SLOT, AT, "test", "worse")
        mark(root, SLOT, "pinned", added.version, **WHY)
        if number % 20 == 0:
            collect(root, SLOT, KEPT, LATER, "test")
        number += 1
    tell(root, f"w{me}", number)


def reader(root: Path, me: int, until: float) -> None:
    registry, generation, loads = Registry(root), 0, 0
    while time.monotonic() < until:
        pointer = pointers.champion(root, SLOT)
        assert pointer is not None
        assert pointer.generation >= generation
        generation, loads = pointer.generation, loads + 1
        tag_of(dict(registry.open(SLOT).contents))
    tell(root, f"r{me}", loads)


def tell(root: Path, name: str, count: int) -> None:
    (root / name).write_text(str(count))


def beside(folder: Path, seconds: float) -> dict[str, Any]:
    """Four writers and eight readers at once; how often each did its work."""
    publish(folder, "first")
    until = time.monotonic() + seconds
    works = [(writer, number) for number in range(WRITERS)]
    works += [(reader, number) for number in range(READERS)]
    children = [
        forked(lambda work=work, me=me: work(folder, me, until))  # type: ignore[misc]
        for work, me in works
    ]
    codes = [ended(child) for child in children]
    counts = {kind: sum(int(path.read_text()) for path in folder.glob(f"{kind}*")) for kind in "wr"}
    started = time.perf_counter()
    pointers.rollback(folder, SLOT, AT, "test", "worse")
    took = time.perf_counter() - started
    return {"codes": codes, **counts, "wrong": list(wrong(folder, 0)), "rollback": took}


def main(task: str, given: dict[str, Any]) -> None:
    os.fsync = lambda fd: None  # a killed process loses nothing that it wrote
    tasks: dict[str, Callable[..., dict[str, Any]]] = {"rounds": rounds, "beside": beside}
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        print(json.dumps(tasks[task](folder=Path(folder), **given)))


def scripted(task: str, **given: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.test_registry_killed", task, json.dumps(given)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    print(task, report, done.stderr)
    return report


def test_killed_at_random_moments_no_version_is_torn_or_mixed() -> None:
    report = scripted("rounds", count=volume(PUBLISH_ROUNDS))
    assert (report["wrong"], report["left"]) == ([], [])
    assert report["killed"] >= volume(PUBLISH_ROUNDS) / 4
    assert report["versions"] <= 7


def test_writers_and_readers_at_once_see_whole_versions() -> None:
    report = scripted("beside", seconds=volume(SECONDS))
    assert (report["codes"], report["wrong"]) == ([0] * (WRITERS + READERS), [])
    assert report["w"] >= WRITERS
    assert report["r"] >= READERS
    assert report["rollback"] <= ROLLBACK_SECONDS


@pytest.fixture
def served(tmp_path: Path) -> Registry:
    for tag in ("one", "two"):
        publish(tmp_path, tag)
    backup(Registry(tmp_path), tmp_path / "backup.zip")
    return Registry(tmp_path)


@pytest.mark.parametrize("name", [*NAMES, "manifest.json"])
def test_a_damaged_file_is_refused_before_it_is_handed_out(
    served: Registry, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = SLOT.folder(served.root) / "v0002" / name
    intact, chance = path.read_bytes(), random.Random(name)
    path.chmod(0o644)

    def parse(*_: object) -> Any:
        raise AssertionError("a parser saw bytes that were not verified")

    if name != "manifest.json":
        monkeypatch.setattr("registry.manifest.parse_card", parse)
    for _ in range(volume(OFFSETS)):
        path.write_bytes(damaged(intact, chance))
        with pytest.raises(RegistryError, match=name):
            served.open(SLOT)
        if name in ("card.json", "manifest.json"):
            with pytest.raises(RegistryError, match=name):
                served.card(SLOT)
    path.write_bytes(intact)
    assert served.open(SLOT).version == "v0002"


@pytest.mark.parametrize("name", ["champion.json", "history.jsonl", "v0002.events.jsonl"])
def test_a_damaged_journal_or_pointer_never_changes_what_is_served(
    served: Registry, name: str
) -> None:
    path = SLOT.folder(served.root) / name
    intact, chance = path.read_bytes(), random.Random(name)
    before = served.open(SLOT)
    for _ in range(volume(OFFSETS)):
        path.write_bytes(damaged(intact, chance))
        try:
            after = served.open(SLOT)
            pointer = pointers.champion(served.root, SLOT)
        except RegistryError:
            continue
        assert after == before
        assert pointer is not None
        assert (pointer.version, pointer.mode) == ("v0002", "trade")
    path.write_bytes(intact)
    assert served.open(SLOT) == before


def test_a_damaged_backup_is_refused_or_brings_the_same_back(
    served: Registry, tmp_path: Path
) -> None:
    intact, chance = (tmp_path / "backup.zip").read_bytes(), random.Random(3)
    whole, refusals = read_index(tmp_path / "backup.zip", whole=True), 0
    for _ in range(volume(OFFSETS)):
        (tmp_path / "damaged.zip").write_bytes(damaged(intact, chance))
        try:
            assert read_index(tmp_path / "damaged.zip", whole=True) == whole
        except RegistryError:
            refusals += 1
    assert refusals >= volume(OFFSETS) / 2


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
