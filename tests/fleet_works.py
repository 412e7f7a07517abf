"""What an executor is given in tests: functions of a module, so that they travel."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """A number, and how often whoever works at it is killed; `folder` remembers."""

    number: int
    folder: Path
    kills: int = 0


def work(job: Job) -> tuple[int, bool]:
    """Ten times the number, and whether it was made by another process than that of the tests."""
    begun = job.folder / f"{job.number}.begun"
    with begun.open("a") as file:
        file.write(f"{os.getpid()}\n")
    if len(begun.read_text().split()) <= job.kills:
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * job.number, os.getpid() != int((job.folder / "parent").read_text())


def environment(job: Job) -> tuple[int, str | None, str | None]:
    """What a process knows of its environment."""
    return job.number, os.environ.get("TOLD"), os.environ.get("NUMBA_NUM_THREADS")


def wait_to_be_ended(job: Job) -> None:
    """Tell that it waits, then wait; an interruption is told too."""
    (job.folder / f"{job.number}.waits").touch()
    try:
        signal.pause()
    except KeyboardInterrupt:
        (job.folder / f"{job.number}.interrupted").touch()
        raise
