"""A stage that takes too long is ended with all that it started; so is what a kill left behind.

``python -m dvc repro`` finds the dvc.py of the folder that it starts in: here one that hangs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from pipeline.errors import RetryLater
from pipeline.operations.retraining import step_watch
from pipeline.operations.retraining.build_run import How, reproduce
from pipeline.operations.retraining.orphans import end_leftovers
from pipeline.operations.retraining.step_watch import Limits
from pipeline.operations.workspace import FOLDER, Workspace, lock_path
from registry.slots import Slot

SLOT = Slot("demo", "SIM-BTC")
HANGS = """
import pathlib, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
pathlib.Path("pids").write_text(f"{__import__('os').getpid()} {child.pid}")
print("Running stage 'download':", flush=True)
print("Running stage 'train':", flush=True)
signal.pause()
"""
QUICK = "print(\"Running stage 'train':\")"


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    folder = home / FOLDER / str(SLOT)
    folder.mkdir(parents=True)
    (folder / "dvc.py").write_text(HANGS)
    yield Workspace(folder)
    for pid in pids(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def pids(folder: Path) -> list[int]:
    file = folder / "pids"
    return [int(pid) for pid in file.read_text().split()] if file.is_file() else []


def alive(folder: Path) -> list[int]:
    found = []
    for pid in pids(folder):
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


def test_a_stage_that_takes_too_long_is_ended(
    home: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_watch, "LATE_PATIENCE_SECONDS", 0.2)
    steps: list[tuple[str, float]] = []
    how = How(limits=Limits(60, {"train": 0.3}))

    def step(name: str) -> None:
        steps.append((name, time.monotonic()))

    with pytest.raises(RetryLater, match=r"stage train took longer.*at most 0.3 s") as caught:
        reproduce(workspace, home, step, how)
    assert caught.value.exit_code == 5
    assert [name for name, _ in steps] == ["download", "train"]
    assert time.monotonic() - steps[-1][1] < 5
    assert pids(workspace.folder)
    while alive(workspace.folder):  # one that was killed may need a moment to go
        assert time.monotonic() - steps[-1][1] < 5


def test_the_patience_after_a_limit_ends_within_five_seconds() -> None:
    assert step_watch.LATE_PATIENCE_SECONDS < 4


@pytest.mark.parametrize("limits", [Limits(), Limits(60), Limits(None, {"train": 60})])
def test_a_stage_in_time_is_left_alone(home: Path, workspace: Workspace, limits: Limits) -> None:
    (workspace.folder / "dvc.py").write_text(QUICK)
    assert reproduce(workspace, home, print, How(limits=limits)).ran == ("train",)


def test_what_a_killed_retrain_left_is_ended(home: Path, workspace: Workspace) -> None:
    words = [sys.executable, "-m", "dvc", "repro"]
    with subprocess.Popen(words, cwd=workspace.folder, start_new_session=True) as left:
        while not pids(workspace.folder):
            assert left.poll() is None
        with FileLock(lock_path(home, SLOT)):
            assert end_leftovers(home, SLOT) == 0, "somebody holds the slot: it is theirs"
        assert end_leftovers(home, Slot("demo", "SIM-ETH")) == 0
        assert left.poll() is None
        assert end_leftovers(home, SLOT) == 1
        assert left.wait(5) == -signal.SIGKILL
    assert '"leftover_ended"' in (home / "logs/vintage.jsonl").read_text()


def test_a_stage_whose_dvc_was_killed_is_ended(home: Path, workspace: Workspace) -> None:
    (workspace.folder / "pipeline.py").write_text("import signal; signal.pause()")
    stage = [sys.executable, "-m", "pipeline", "stage", "train"]
    start = f"import subprocess; print(subprocess.Popen({stage}, stdout=2).pid, flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", start],
        cwd=workspace.folder,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as leader:
        assert leader.stdout is not None
        left = psutil.Process(int(leader.stdout.readline()))
    while left.cmdline()[1:] != stage[1:]:  # between fork and exec it looks like its parent
        assert left.is_running()
    assert end_leftovers(home, Slot("demo", "SIM-ETH")) == 0
    assert left.is_running()
    assert end_leftovers(home, SLOT) == 1
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE


def test_what_a_person_started_is_left_alone(home: Path, workspace: Workspace) -> None:
    words = [sys.executable, "-m", "dvc", "repro"]
    with subprocess.Popen(words, cwd=workspace.folder, process_group=0) as theirs:
        while not pids(workspace.folder):
            assert theirs.poll() is None
        assert end_leftovers(home, SLOT) == 0
        assert theirs.poll() is None
        theirs.kill()
