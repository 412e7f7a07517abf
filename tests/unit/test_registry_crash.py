"""Kill, full disk, locked disk and I/O error at every file operation of everything that writes.

Run as a script it forks once per file operation: the child dies, or is refused the operation, at
the n-th; the parent then looks at what a reader sees, and lets the next process try again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry import pointers
from registry.archive import backup, read_index, restore
from registry.errors import RegistryError
from registry.marks import mark
from registry.retention import collect
from registry.slots import Slot
from registry.versions import Registry
from tests.faults import CLEAN, COUNTED, ESCAPED, REFUSED, Fault

AT = "2025-12-20T03:00:00+00:00"
SLOT = Slot.parse("upbit_hourly/KRW-SOL")
OLD = {"card.json": b'{"as_of": "old"}', "heads/direction/model.txt": b"old trees"}
NEW = {"card.json": b'{"as_of": "new"}', "heads/direction/model.txt": b"new trees"}
WHY: pointers.Because = {"reason": "gate", "who": "test", "at": AT}
KEPT = "kept.zip"
MEMORY = Path("/dev/shm")
Action = Callable[[Path], None]


def add_new(root: Path) -> None:
    Registry(root).add(SLOT, NEW, AT)


def promote(version: str) -> Action:
    def move(root: Path) -> None:
        pointers.move(root, SLOT, version, "trade", **WHY)

    return move


def back(root: Path) -> None:
    champion = pointers.champion(root, SLOT)
    if champion and champion.version == "v0002":
        pointers.rollback(root, SLOT, at=AT, who="test", reason="worse")


def note_new(root: Path) -> None:
    if len(Registry(root).events(SLOT, "v0001")) == 1:
        Registry(root).note(SLOT, "v0001", "gate", AT, outcome="promote")


def nothing(root: Path) -> None:
    root.mkdir()


def add_old(root: Path) -> None:
    Registry(root).add(SLOT, OLD, AT)


def promote_old(root: Path) -> None:
    add_old(root)
    promote("v0001")(root)


def both(root: Path) -> None:
    promote_old(root)
    add_new(root)


def add_both(root: Path) -> None:
    add_old(root)
    add_new(root)


def promote_both(root: Path) -> None:
    both(root)
    promote("v0002")(root)


def pin_second(root: Path) -> None:
    mark(root, SLOT, "pinned", "v0002", **WHY)


def first_only(root: Path) -> None:
    collect(root, SLOT, 1, "2025-12-21T00:00Z", "test")


def restore_other(root: Path) -> None:
    """From the backup beside the registry, unless it is there already."""
    if not SLOT.folder(root).exists():
        restore(Registry(root), root.parent / "backup.zip")


def backed_up(root: Path) -> None:
    promote_old(root)
    file = root.parent / "backup.zip"
    file.unlink(missing_ok=True)
    backup(Registry(root), file)
    shutil.rmtree(root)
    nothing(root)


def keep(root: Path) -> None:
    """Into a file of its own, unless it is there already."""
    if not (root / KEPT).exists():
        backup(Registry(root), root / KEPT)


def killed_before(root: Path) -> None:
    promote_old(root)
    place = SLOT.folder(root)
    (place / ".tmp-v0002/heads/direction").mkdir(parents=True)
    (place / ".tmp-v0002/heads/direction/model.txt").write_bytes(b"new")
    (place / "v0002.events.jsonl").write_bytes(b'{"event": "registered"}\n')
    (place / ".champion.json.7.ab.tmp").write_bytes(b"{")


CASES: dict[str, tuple[Action, Action, str | None, list[str]]] = {
    "first add": (nothing, add_new, None, ["v0001"]),
    "next add": (promote_old, add_new, "v0001", ["v0001", "v0002"]),
    "add after a kill": (killed_before, add_new, "v0001", ["v0001", "v0002"]),
    "first promotion": (add_old, promote("v0001"), "v0001", ["v0001"]),
    "promotion": (both, promote("v0002"), "v0002", ["v0001", "v0002"]),
    "rollback": (promote_both, back, "v0001", ["v0001", "v0002"]),
    "mark": (both, pin_second, "v0001", ["v0001", "v0002"]),
    "collection": (add_both, first_only, None, ["v0002"]),
    "restore": (backed_up, restore_other, "v0001", ["v0001"]),
    "backup": (promote_both, keep, "v0002", ["v0001", "v0002"]),
    "event": (promote_old, note_new, "v0001", ["v0001"]),
}


def attempt(action: Action, root: Path, at: int, kind: str) -> int:
    child = os.fork()
    if child == 0:
        code = ESCAPED
        try:
            fault = Fault(at, kind)
            action(root)
            code = COUNTED if fault.struck else CLEAN
        except RegistryError:
            code = REFUSED
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def seen(root: Path) -> Iterator[str]:
    """What is wrong for a reader right now."""
    registry, known = Registry(root), (OLD, NEW)
    for info in registry.versions(SLOT):
        bundle = registry.open(SLOT, info.version)
        if {name: bundle.read(name) for name in bundle.names} not in known:
            yield f"{info.version} has other bytes"
    champion = pointers.champion(root, SLOT)
    if champion and registry.open(SLOT).version != champion.version:
        yield "another champion opens"
    yield from (finding.what for finding in registry.verify())
    if (root / KEPT).exists():
        read_index(root / KEPT, whole=True)


def converged(root: Path, champion: str | None, versions: list[str]) -> Iterator[str]:
    """What is wrong once the next process has done its work."""
    yield from seen(root)
    pointer = pointers.champion(root, SLOT)
    if (pointer.version if pointer else None) != champion:
        yield f"champion {pointer}"
    found = [info.version for info in Registry(root).versions(SLOT)]
    if found != versions:
        yield f"versions {found}"
    generations = [made.generation for made in pointers.history(root, SLOT)]
    if generations != sorted(set(generations)):
        yield f"generations {generations}"


def sweep(case: str, kind: str, folder: Path) -> tuple[int, list[str]]:
    """Strike at every operation of a case; how many there are, and what went wrong."""
    prepare, action, champion, versions = CASES[case]
    template, wrong = folder / "template", []
    prepare(template)
    for at in range(1, 1000):
        root = folder / str(at)
        shutil.copytree(template, root)
        code = attempt(action, root, at, kind)
        where = f"{case}, {kind} at {at}: exit {code}"
        if code == ESCAPED:
            wrong.append(f"{where}: another error than RegistryError")
        wrong += [f"{where}, seen: {told}" for told in seen(root)]
        action(root)
        wrong += [f"{where}, after: {told}" for told in converged(root, champion, versions)]
        left = [path.name for path in SLOT.folder(root).glob(".*") if path.name != ".lock"]
        if left and "add" in case:
            wrong.append(f"{where}, left behind: {left}")
        shutil.rmtree(root)
        if code == CLEAN:
            return at - 1, wrong
    return 0, [f"{case} never ends"]


def main(kind: str) -> None:
    os.fsync = lambda descriptor: None  # a killed process loses nothing that it wrote
    report = {}
    for case in CASES:
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            report[case] = sweep(case, kind, Path(folder))
    print(json.dumps(report))


@pytest.mark.parametrize("kind", ["kill", "error", "full", "locked"])
def test_every_file_operation_may_be_the_last(kind: str, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.test_registry_crash", kind],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [wrong for _, wrong in report.values() if wrong] == []
    operations = {case: struck for case, (struck, _) in report.items()}
    assert operations["next add"] >= 20
    assert operations["promotion"] >= 7
    assert min(operations.values()) >= 3
    assert set(operations) == set(CASES)


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    Registry(tmp_path).add(SLOT, OLD, AT)
    holder = (
        "import sys, pathlib; from registry.files import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    place = str(SLOT.folder(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", holder, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.kill()
        assert Registry(tmp_path).add(SLOT, NEW, AT).version == "v0002"


if __name__ == "__main__":
    main(sys.argv[1])
