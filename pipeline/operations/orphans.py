"""Builds whose retrain was killed: they go on by themselves until somebody ends them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from pipeline import log
from pipeline.operations.workspace import FOLDER, lock_path
from registry.slots import Slot


def end_leftovers(home: Path, slot: Slot) -> int:
    """End what a killed retrain of a slot left running, and count its process groups.

    Nothing is ended while a retrain holds the slot's lock: then the build is that one's.
    """
    path = lock_path(home, slot)
    if not path.parent.is_dir():
        return 0
    try:
        with FileLock(path).acquire(timeout=0):
            groups = set(_groups_in(home / FOLDER / str(slot)))
            for group in groups:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
            if groups:
                log.event("leftover_ended", log.WARNING, slot=str(slot), groups=len(groups))
            return len(groups)
    except Timeout:
        return 0


def _groups_in(workspace: Path) -> Iterator[int]:
    """Groups of a dvc that a retrain began there: in a session of its own, unlike a person's."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            ours = os.getsid(process.pid) == process.pid and _is_dvc(process)
            if ours and Path(process.cwd()) == workspace.resolve():
                yield process.pid


def _is_dvc(process: psutil.Process) -> bool:
    words: list[str] = process.cmdline()
    return words[1:4] == ["-m", "dvc", "repro"]
