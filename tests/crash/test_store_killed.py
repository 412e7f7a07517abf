"""Kills at random moments, and at every file operation, of everything that writes to the store.

Run as a script it forks: the child does the work and dies in the midst of it, the parent looks at
what a reader sees, and lets the next process do the work again.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import VintageError
from tests.crash.works import (
    WORKS,
    Work,
    digests,
    ended_wrong,
    halved,
    nothing,
    small_pieces,
    store_of,
    wrong,
)
from tests.faults import CLEAN, COUNTED, ESCAPED, REFUSED, Fault
from tests.stored import SERIES
from tests.volume import volume

MEMORY = Path("/dev/shm")


def forked(work: Callable[[], Any]) -> int:
    child = os.fork()
    if child == 0:
        code = ESCAPED
        try:
            code = work() or CLEAN
        except (VintageError, OSError):
            code = REFUSED
        finally:
            os._exit(code)
    return child


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def struck(work: Work, folder: Path, at: int, kind: str) -> int:
    def attempt() -> int:
        fault = Fault(at, kind, spared=".lock")
        work.act(folder)
        return COUNTED if fault.struck else CLEAN

    return ended(forked(attempt))


def expected_of(work: Work, folder: Path) -> dict[str, str]:
    work.prepare(folder)
    work.act(folder)
    return digests(folder)


def sweep(name: str, kind: str, folder: Path, every: int) -> dict[str, Any]:
    """Strike at every n-th operation of a work; how many there are, and what went wrong."""
    work, template, found = WORKS[name], folder / "template", list[str]()
    expected = expected_of(work, folder / "expected")
    work.prepare(template)
    held = store_of(template).times(SERIES)
    for at in range(1, 2000, every):
        root = folder / str(at)
        shutil.copytree(template, root)
        code = struck(work, root, at, kind)
        where = f"{name}, {kind} at {at}: exit {code}"
        if code == ESCAPED:
            found.append(f"{where}: another error")
        found += [f"{where}, seen: {what}" for what in wrong(root, work, held)]
        found += [f"{where}, next: {what}" for what in halved(root, work)]
        work.act(root)
        found += [f"{where}, after: {what}" for what in ended_wrong(root, work, expected)]
        shutil.rmtree(root)
        if code == CLEAN:
            return {"struck": at - 1, "wrong": found}
    return {"struck": 0, "wrong": [f"{name} never ends"]}


def kills(name: str, folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Kill a work at random moments, going on from where it was, until it has ended by itself."""
    work, found, done, ends = WORKS[name], list[str](), 0, 0
    chance = random.Random(seed)
    expected = expected_of(work, folder / "expected")
    root = folder / "0"
    work.prepare(root)
    started = time.perf_counter()
    shutil.copytree(root, folder / "timed")
    ended(forked(lambda: work.act(folder / "timed")))
    longest = time.perf_counter() - started
    while done < count:
        held = store_of(root).times(SERIES)
        child = forked(partial(work.act, root))
        time.sleep(chance.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        code = ended(child)
        done += code == -signal.SIGKILL
        found += [f"{name}, kill {done}: {what}" for what in wrong(root, work, held)]
        found += [f"{name}, kill {done}, next: {what}" for what in halved(root, work)]
        if code != -signal.SIGKILL or chance.random() < 0.2:
            ends += 1
            work.act(root)
            found += [f"{name}, end {ends}: {what}" for what in ended_wrong(root, work, expected)]
            shutil.rmtree(root)
            root = folder / str(ends)
            work.prepare(root)
    work.act(root)
    found += [f"{name}, the end: {what}" for what in ended_wrong(root, work, expected)]
    return {"killed": done, "ended": ends, "wrong": found}


def together(name: str, folder: Path) -> dict[str, Any]:
    """Four processes do the same work in the same store at once."""
    expected = expected_of(WORKS[name], folder / "expected")
    nothing(folder / "root")
    children = [forked(lambda: WORKS[name].act(folder / "root")) for _ in range(4)]
    codes = [ended(child) for child in children]
    found = list(ended_wrong(folder / "root", WORKS[name], expected))
    return {"codes": codes, "wrong": found}


def main(task: str, given: dict[str, Any]) -> None:
    small_pieces()
    os.fsync = lambda descriptor: None  # a killed process loses nothing that it wrote
    tasks = {"sweep": sweep, "kills": kills, "together": together}
    report = {}
    for name, more in given.items():
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            report[name] = tasks[task](name=name, folder=Path(folder), **more)
    print(json.dumps(report))


def scripted(task: str, given: dict[str, dict[str, Any]]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.test_store_killed", task, json.dumps(given)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert set(report) == set(given)
    return report


def wrongs(report: dict[str, Any]) -> list[str]:
    return [told for one in report.values() for told in one["wrong"]]


def test_killed_at_random_moments_nothing_is_lost() -> None:
    counts = {"first sync": 6, "sync": 4, "force": 2, "import": 2, "restore": 2}
    given = {name: {"count": volume(count), "seed": count} for name, count in counts.items()}
    report = scripted("kills", given)
    assert wrongs(report) == []
    assert all(report[name]["killed"] == volume(count) for name, count in counts.items())


@pytest.mark.parametrize("kind", ["kill", "full"])
def test_every_file_operation_may_be_the_last(kind: str) -> None:
    every = 1 if volume(1) > 1 else 11
    report = scripted("sweep", {name: {"kind": kind, "every": every} for name in WORKS})
    assert wrongs(report) == []
    assert {name for name, one in report.items() if one["struck"] < every // 2} == set()


def test_several_at_once_end_as_one() -> None:
    report = scripted("together", {"first sync": {}})
    assert report["first sync"] == {"codes": [0] * 4, "wrong": []}


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
