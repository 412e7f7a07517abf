"""A retrain that is killed, asked to stop, or started twice leaves what was in service."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import child_env, clone
from tests.e2e.commands import BIN, run

REFUSED, PASSING_FAULT, INTERRUPTED = 3, 5, 130
WORKSPACE = Path("build/workspaces/demo/SIM-BTC")
WORDS = ("retrain", "recipe=demo", "recipe.history_days=40", "model.n_estimators=5")


@pytest.mark.dvc
def test_what_was_in_service_stays(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    run(folder, "vintage", *WORDS, "as_of=2025-12-20T00:00Z")
    killed = _start(folder, "as_of=2025-12-20T01:00Z")
    _wait_for_lock(folder)
    told = run(folder, "vintage", *WORDS, "as_of=2025-12-20T02:00Z", code=PASSING_FAULT)
    assert "another retrain of this slot is running" in told
    assert "2025-12-20T02:00" not in (folder / WORKSPACE / "params.yaml").read_text()
    _wait_for_stage(folder, "2025-12-20T01:00")
    for process in (killed.pid, *_children(folder)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    killed.wait()
    assert _champion(folder) == "v0001"
    stopped = _start(folder, "as_of=2025-12-20T03:00Z")
    _wait_for_stage(folder, "2025-12-20T03:00")
    assert _children(folder), "nothing to stop: this test would see nothing"
    stopped.terminate()
    assert stopped.wait(30) == INTERRUPTED
    _wait_for_silence(folder)
    assert _champion(folder) == "v0001"
    run(folder, "vintage", *WORDS, "as_of=2025-12-20T04:00Z")
    assert _champion(folder) == "v0002"
    told = run(folder, "vintage", "registry", "rollback", "demo/SIM-BTC")
    assert "v0001 is champion" in told
    told = run(folder, "vintage", *WORDS, "as_of=2025-12-20T04:00Z")
    assert "nothing new" in told
    assert _champion(folder) == "v0001", "a rerun must not undo a rollback"
    told = run(folder, "vintage", *WORDS, "as_of=2025-12-19T00:00Z", code=REFUSED)
    assert "knows later candles" in told
    assert "Intact: 3 versions" in run(folder, "vintage", "registry", "verify")


def _start(folder: Path, as_of: str) -> subprocess.Popen[bytes]:
    with (folder / "started.log").open("ab") as told:
        return subprocess.Popen(
            [str(BIN / "vintage"), *WORDS, as_of],
            cwd=folder,
            env=child_env(folder),
            stdout=told,
            stderr=told,
            start_new_session=True,
        )


def _wait_for_lock(folder: Path) -> None:
    params = folder / WORKSPACE / "params.yaml"
    deadline = time.monotonic() + 60
    while "2025-12-20T01:00" not in params.read_text():
        assert time.monotonic() < deadline, (folder / "started.log").read_text()
        time.sleep(0.02)


def _wait_for_stage(folder: Path, as_of: str) -> None:
    told = folder / WORKSPACE / "build/config/download.yaml"
    deadline = time.monotonic() + 60
    while not (told.is_file() and as_of in told.read_text()):
        assert time.monotonic() < deadline, (folder / "started.log").read_text()
        time.sleep(0.05)


def _wait_for_silence(folder: Path) -> None:
    deadline = time.monotonic() + 5
    while left := _children(folder):
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.05)


def _champion(folder: Path) -> str:
    slots = json.loads(run(folder, "vintage", "registry", "list", "--json"))
    return str(slots[0]["champion"])


def _children(folder: Path) -> list[int]:
    workspaces = str(folder / "build" / "workspaces")
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str((entry / "cwd").readlink()).startswith(workspaces):
                found.append(int(entry.name))
    return found
