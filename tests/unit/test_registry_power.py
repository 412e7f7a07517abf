"""Power loss: of what was not yet flushed, any part may be gone, in any order.

One run is recorded as a list of file operations. Then, for a cut after each of them, the operations
that no fsync had made durable are kept or lost by chance, a write also by half, and what is left is
built anew and read.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry import pointers
from registry.slots import Slot
from registry.versions import Registry

AT = "2025-12-20T03:00:00+00:00"
SLOT = Slot.parse("upbit_hourly/KRW-SOL")
OLD = {"card.json": b'{"as_of": "old"}', "heads/direction/model.txt": b"old trees"}
NEW = {"card.json": b'{"as_of": "new"}', "heads/direction/model.txt": b"new trees"}
WHY: pointers.Because = {"reason": "gate", "who": "test", "at": AT}
NAMES = {"mkdir", "create", "rename", "unlink", "rmdir"}
Action = Callable[[Path], object]


@dataclass(frozen=True)
class Operation:
    kind: str
    path: Path
    file: int = 0
    to: Path | None = None
    content: bytes = b""


@dataclass
class Recorder:
    """What a run asks of the file system, with paths relative to the root."""

    root: Path
    operations: list[Operation] = field(default_factory=list)
    opened: dict[int, tuple[Path, int]] = field(default_factory=dict)
    files: int = 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in ("open", "write", "fsync", "rename", "replace", "mkdir", "unlink", "rmdir"):
            patch.setattr(os, name, self.recording(name, getattr(os, name)))
        patch.setattr(os, "truncate", None)

    def recording(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        handle = getattr(self, f"on_{'rename' if name == 'replace' else name}")

        def call(*given: Any, **named: Any) -> Any:
            if name in ("write", "fsync"):
                answer = real(*given, **named)
                handle(*self.opened[given[0]], *given[1:], answer)
                return answer
            path = self.at(given[0], named.get("dir_fd"))
            existed = (self.root / path).exists()
            answer = real(*given, **named)
            handle(path, *given[1:], answer, existed)
            return answer

        return call

    def at(self, path: Any, folder: int | None = None) -> Path:
        return self.opened[folder][0] / path if folder else Path(path).relative_to(self.root)

    def on_open(self, path: Path, flags: int, *rest: Any) -> None:
        *_, descriptor, existed = rest
        self.files += 1
        self.opened[descriptor] = (path, self.files)
        if flags & os.O_CREAT and not existed:
            self.operations.append(Operation("create", path, self.files))

    def on_write(self, path: Path, file: int, content: Any, written: int) -> None:
        self.operations.append(Operation("write", path, file, content=bytes(content[:written])))

    def on_fsync(self, path: Path, file: int, *rest: Any) -> None:
        self.operations.append(Operation("fsync", path, file))

    def on_rename(self, path: Path, to: Any, *rest: Any) -> None:
        self.operations.append(Operation("rename", path, to=self.at(to)))

    def on_mkdir(self, path: Path, *rest: Any) -> None:
        self.operations.append(Operation("mkdir", path))

    def on_unlink(self, path: Path, *rest: Any) -> None:
        self.operations.append(Operation("unlink", path))

    def on_rmdir(self, path: Path, *rest: Any) -> None:
        self.operations.append(Operation("rmdir", path))


def durable(operations: Sequence[Operation], index: int) -> bool:
    operation = operations[index]
    later = [other for other in operations[index + 1 :] if other.kind == "fsync"]
    if operation.kind in NAMES:
        return any(other.path == operation.path.parent for other in later)
    return any(other.file == operation.file for other in later)


def rebuild(
    operations: Sequence[Operation], root: Path, chance: np.random.Generator | None
) -> None:
    """Do again what survives; without `chance`, only what is durable."""
    places: dict[int, Path] = {}
    for index, operation in enumerate(operations):
        share = 1.0
        if not durable(operations, index):
            share = 0.0 if chance is None else float(chance.choice([0.0, 0.5, 1.0, 1.0]))
        if share == 1.0 or (share and operation.kind == "write"):
            redo(operation, root, places, share)


def redo(operation: Operation, root: Path, places: dict[int, Path], share: float) -> None:
    path = root / operation.path
    if operation.kind in ("mkdir", "create") and path.parent.is_dir():
        path.mkdir(exist_ok=True) if operation.kind == "mkdir" else path.touch()
        places[operation.file] = path
    elif operation.kind == "write" and (place := places.get(operation.file, path)).is_file():
        kept = operation.content[: int(share * len(operation.content))]
        place.write_bytes(place.read_bytes() + kept)
    elif operation.to and path.exists():
        path.rename(root / operation.to)
        moved = {file: place for file, place in places.items() if place.is_relative_to(path)}
        places |= {f: root / operation.to / place.relative_to(path) for f, place in moved.items()}
    elif operation.kind == "unlink":
        path.unlink(missing_ok=True)
    elif operation.kind == "rmdir":
        with contextlib.suppress(OSError):
            path.rmdir()


def prepared(root: Path) -> Registry:
    registry = Registry(root)
    registry.add(SLOT, OLD, AT)
    return registry


def promoted(root: Path) -> Registry:
    registry = prepared(root)
    pointers.move(root, SLOT, "v0001", "trade", **WHY)
    return registry


def killed_before(root: Path) -> Registry:
    promoted(root)
    place = SLOT.folder(root)
    (place / ".tmp-v0002/heads/direction").mkdir(parents=True)
    (place / ".tmp-v0002/heads/direction/model.txt").write_bytes(b"new")
    (place / "v0002.events.jsonl").write_bytes(b'{"event": "registered"}\n')
    return Registry(root)


def with_two(root: Path) -> Registry:
    promoted(root).add(SLOT, NEW, AT)
    return Registry(root)


def add_new(root: Path) -> object:
    return Registry(root).add(SLOT, NEW, AT)


def promote(version: str) -> Action:
    return lambda root: pointers.move(root, SLOT, version, "trade", **WHY)


CASES: dict[str, tuple[Action, Action, str | None, list[str]]] = {
    "first add": (lambda root: root.mkdir(), add_new, None, ["v0001"]),
    "next add": (promoted, add_new, "v0001", ["v0001", "v0002"]),
    "add after a kill": (killed_before, add_new, "v0001", ["v0001", "v0002"]),
    "first promotion": (prepared, promote("v0001"), "v0001", ["v0001"]),
    "promotion": (with_two, promote("v0002"), "v0002", ["v0001", "v0002"]),
}


def standing(root: Path) -> tuple[str | None, list[str]]:
    registry = Registry(root)
    assert registry.verify() == []
    champion = pointers.champion(root, SLOT)
    if champion:
        assert registry.open(SLOT).version == champion.version
    versions = [info.version for info in registry.versions(SLOT)]
    contents = [registry.open(SLOT, version).contents for version in versions]
    assert all(content in (OLD, NEW) for content in contents)
    return champion.version if champion else None, versions


@pytest.fixture
def fast() -> Iterator[Path]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.mark.parametrize("case", CASES)
def test_power_may_fail_after_every_operation(
    case: str, fast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, action, champion, versions = CASES[case]
    template, run = fast / "template", fast / "run"
    prepare(template)
    shutil.copytree(template, run)
    recorder = Recorder(run)
    with monkeypatch.context() as patch:
        recorder.install(patch)
        action(run)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    operations = recorder.operations
    assert sum(operation.kind == "fsync" for operation in operations) >= 3

    shutil.copytree(template, fast / "acknowledged")
    rebuild(operations, fast / "acknowledged", None)
    assert standing(fast / "acknowledged") == (champion, versions)

    for seed in range(2 + 160 // len(operations)):
        for cut in range(len(operations)):
            root = fast / f"{seed}-{cut}"
            shutil.copytree(template, root)
            rebuild(operations[:cut], root, np.random.default_rng([seed, cut]))
            standing(root)
            action(root)
            assert standing(root) == (champion, versions)
            shutil.rmtree(root)
