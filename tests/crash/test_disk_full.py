"""The registry on a real file system that is full, or that nothing may write to.

Run as a script in a mount namespace of its own, in which it may mount: nothing else sees it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import RetryLater
from pipeline.operations.retraining.step_watch import START
from pipeline.runner import STAGES
from registry.errors import RegistryError
from tests.conftest import CHECKOUT
from tests.unit.test_registry_crash import CASES, converged, seen
from tests.volume import volume

ALONE = ("unshare", "--user", "--map-root-user", "--mount")
LARGE, PAGE = 8192, 4  # KiB
ROOMS = 5
SOME = ("features", "evaluate")
FULL = volume(1) > 1
WORDS = re.compile(
    "the disk ran full|no room left on this disk|No space left on device|Read-only file system"
)
LONGEST_SECONDS = 120
DONE = {"collection", "event"}  # a short line finds room in a page that is there already


def mounted(*words: str) -> None:
    done = subprocess.run(["mount", *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"mount {words}: {done.stderr}"


@contextmanager
def file_system(place: Path, size: int = LARGE) -> Iterator[Path]:
    mounted("-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(place))
    try:
        yield place / "root"
    finally:
        subprocess.run(["umount", str(place)], check=True)


def sized(place: Path, room: int) -> None:
    """Leave so many KiB of room."""
    told = os.statvfs(place)
    used = (told.f_blocks - told.f_bfree) * told.f_frsize // 1024
    size = max(used + room, PAGE)  # 0 would be any size
    mounted("-o", f"remount,size={size}k", str(place))


def tried(case: str, place: Path, room: int | None) -> tuple[str, list[str]]:
    """Do a case with so much room, or where nothing may be written; what is told and wrong."""
    prepare, action, champion, versions = CASES[case]
    with file_system(place) as root:
        prepare(root)
        mounted("-o", "remount,ro", str(place)) if room is None else sized(place, room)
        told, wrong = "", list[str]()
        try:
            action(root)
        except RegistryError as error:
            told = str(error)
        where = f"{case}, {'locked' if room is None else f'{room} KiB'}: {told or 'done'}"
        wrong += [f"{where}, seen: {each}" for each in seen(root)]
        mounted("-o", f"remount,rw,size={LARGE}k", str(place))
        action(root)
        wrong += [f"{where}, after: {each}" for each in converged(root, champion, versions)]
        left = [path.name for path in root.rglob(".*.tmp")]
        wrong += [f"{where}, left: {left}"] if left else []
    return told, wrong


def main(rooms: str) -> None:
    report: dict[str, list[tuple[str, list[str]]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            given = [None, *(PAGE * number for number in range(int(rooms)))]
            report[case] = [tried(case, Path(folder), room) for room in given]
    print(json.dumps(report))


def may_mount() -> bool:
    if sys.platform != "linux" or not all(shutil.which(name) for name in ("unshare", "mount")):
        return False
    probe = "mount -t tmpfs tmpfs /mnt"
    return not subprocess.run(
        [*ALONE, "sh", "-c", probe], check=False, capture_output=True
    ).returncode


def alone(*words: str) -> Any:
    """What a script reports that may mount; skipped where nothing can be mounted."""
    if not may_mount():
        pytest.skip("no file system can be mounted here: unshare --user --map-root-user --mount")
    done = subprocess.run(
        [*ALONE, sys.executable, "-m", *words],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    print(done.stderr)
    return json.loads(done.stdout)


def test_a_full_or_locked_disk_is_told_and_repeating_works() -> None:
    report = alone("tests.crash.test_disk_full", str(volume(ROOMS)))
    assert [wrong for tries in report.values() for _, found in tries for wrong in found] == []
    assert set(report) == set(CASES)
    for case, ((locked, _), *full) in report.items():
        assert "Read-only file system" in locked, case
        assert any("No space left" in told for told, _ in full) or case in DONE, case


def test_a_stage_without_room_is_told_and_the_next_retrain_makes_the_same_bytes() -> None:
    report = alone("tests.crash.filled_builds", "stages", *(() if FULL else SOME))
    assert [wrong for strike in report for wrong in strike["wrong"]] == []
    told = {strike["where"]: strike["code"] for strike in report}
    assert len(told) == (len(STAGES) if FULL else len(SOME)) * 2
    assert {told[where] for where in told if where.endswith(", 0 KiB")} == {RetryLater.exit_code}
    assert {*told.values()} <= {RetryLater.exit_code, 0}


@pytest.mark.dvc
@pytest.mark.skipif(not FULL, reason="ten minutes of real retrains: VINTAGE_FULL=1")
def test_a_disk_that_fills_beside_dvc_ends_the_build_and_leaves_the_champion() -> None:
    report = alone("tests.crash.filled_builds", "dvc", START, *STAGES)
    assert [wrong for strike in report for wrong in strike["wrong"]] == []
    told = {RetryLater.exit_code, RegistryError.exit_code, 0}
    assert {strike["code"] for strike in report} <= told
    ended = [strike for strike in report if strike["code"]]
    assert len(ended) > len(report) / 2
    assert [strike["where"] for strike in ended if not WORDS.search(strike["told"])] == []
    assert [strike["where"] for strike in report if strike["seconds"] > LONGEST_SECONDS] == []


if __name__ == "__main__":
    main(sys.argv[1])
