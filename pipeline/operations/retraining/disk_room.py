"""The room that a build has on its disks: DVC asks a full one for ever, and never ends.

Its index of known files is a database that begins every change anew until it succeeds, at full
load. So somebody else looks, and ends a build that has no room left.
"""

from __future__ import annotations

import errno
import math
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pipeline.errors import RetryLater, from_system
from pipeline.operations.retraining.step_watch import LATE_PATIENCE_SECONDS, stop

LEAST_BYTES = 8 * 2**20
LEAST_FILES = 256
EVERY_SECONDS = 1.0
PASSING = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.EMFILE,
}
SYSTEM = re.compile(r"\[Errno (?P<number>\d+)\] (?P<what>[^:\[\]]+): '(?P<where>[^']*)'")


def shortage(folders: Sequence[Path]) -> RetryLater | None:
    """What to tell of the first folder that is full or may not be written to; None where none is.

    Of a folder that is not there yet, the nearest above it is looked at.
    """
    for folder in map(_standing, folders):
        if not os.access(folder, os.W_OK):
            locked = os.statvfs(folder).f_flag & os.ST_RDONLY
            number = errno.EROFS if locked else errno.EACCES
            return from_system(OSError(number, os.strerror(number), str(folder)))
        if (free := shutil.disk_usage(folder).free) < LEAST_BYTES:
            found, least = f"{free / 2**20:.1f} MiB free", f"{LEAST_BYTES / 2**20:.0f} MiB"
            return _no_room(folder, found, least)
        if (left := _files_left(folder)) < LEAST_FILES:
            return _no_room(folder, f"room for {left:.0f} more files", f"{LEAST_FILES} files")
    return None


def told_by_system(line: str) -> RetryLater | None:
    """What a line says of a disk that is full, locked or failing; None where it does not.

    Examples
    --------
    >>> print(told_by_system("ERROR: failed: [Errno 30] Read-only file system: '/x'"))
    the system refused: Read-only file system (/x). To do: make that folder writable, or set \
VINTAGE_HOME to one that is.
    """
    found = SYSTEM.search(line)
    if found is None or int(found["number"]) not in PASSING:
        return None
    return from_system(OSError(int(found["number"]), found["what"], found["where"]))


@dataclass(slots=True)
class RoomWatch:
    """Ends a process with its whole group once a folder that it writes to has no room."""

    folders: Sequence[Path]
    process: subprocess.Popen[str]
    short: RetryLater | None = None
    over: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        if self.thread is not None:
            self.thread.join()

    def _look(self) -> None:
        while not self.over.wait(EVERY_SECONDS) and self.process.poll() is None:
            self.short = shortage(self.folders)
            if self.short is not None:
                stop(self.process, LATE_PATIENCE_SECONDS)
                return


def _no_room(folder: Path, found: str, least: str) -> RetryLater:
    return RetryLater(
        "the build has no room left on this disk; it is over, and the champion stays",
        where=str(folder),
        found=found,
        expected=f"at least {least}",
        fix="free space on that disk, or delete many small files, and repeat",
    )


def _files_left(folder: Path) -> float:
    """How many files a disk still takes; infinite where it has no such limit."""
    told = os.statvfs(folder)
    return told.f_favail if told.f_files else math.inf


def _standing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.is_dir())
