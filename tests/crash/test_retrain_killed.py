"""A retrain that dies, or whose disk is full or locked, at any moment: the champion is served."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.crash import killed_builds
from tests.crash.retrained import KINDS
from tests.volume import volume

EVERY, KILLS = 30, 5
OPERATIONS = 60  # at least so many file operations from the built candidate to the champion
FULL = volume(1) > 1


def test_every_file_operation_after_the_build_may_be_the_last() -> None:
    every = 1 if FULL else EVERY
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.retrained", str(every)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [wrong for one in report.values() for wrong in one["wrong"]] == []
    assert {kind: one["struck"] > OPERATIONS for kind, one in report.items()} == dict.fromkeys(
        KINDS, True
    )
    assert all(report[kind]["words"] for kind in ("full", "locked"))


@pytest.mark.dvc
def test_killed_while_it_builds_the_next_one_makes_the_same_bytes(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            killed_builds.SELF,
            str(volume(KILLS) if FULL else 0),
            str(tmp_path),
        ],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    print(report)
    assert report["wrong"] == []
    wanted = volume(KILLS) + len(killed_builds.STEPS) if FULL else 1
    assert len(report["killed"]) == wanted
