"""Builds whose retrain was killed: they go on by themselves until somebody ends them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from pipeline import log
from pipeline.operations.workspace import FOLDER, lock_path
from registry.slots import Slot

PATIENCE_SECONDS = 2


def end_leftovers(home: Path, slot: Slot) -> int:
    """End what a killed retrain of a slot left running, and count its process groups.

    Nothing is ended while a retrain holds the slot's lock: then the build is that one's.
    """
    path = lock_path(home, slot)
    if not path.parent.is_dir():
        return 0
    try:
        with FileLock(path).acquire(timeout=0):
            left = dict(_left_in(home / FOLDER / str(slot)))
            for group in {*left.values()}:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
            _wait_for(left)
            groups = len({*left.values()})
            if groups:
                log.event("leftover_ended", log.WARNING, slot=str(slot), groups=groups)
            return groups
    except Timeout:
        return 0


def _left_in(workspace: Path) -> Iterator[tuple[psutil.Process, int]]:
    """A dvc that a retrain began there, or its stages where it was killed, and their groups.

    It leads a session of its own, unlike a person's: a session that nobody leads was one, too.
    """
    place = workspace.resolve()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            session = os.getsid(process.pid)
            if session == process.pid:
                ours = _runs(process, "dvc", "repro")
            else:
                ours = not psutil.pid_exists(session) and _runs(process, "pipeline", "stage")
            if ours and Path(process.cwd()) == place:
                yield process, os.getpgid(process.pid)


def _wait_for(left: Iterable[psutil.Process]) -> None:
    """One that was killed needs a moment to go; it is its parent's to collect."""
    end = time.monotonic() + PATIENCE_SECONDS
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < end:
                time.sleep(0.01)


def _runs(process: psutil.Process, module: str, verb: str) -> bool:
    words: list[str] = process.cmdline()
    return words[1:4] == ["-m", module, verb]
