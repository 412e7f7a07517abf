"""What a step of a build may take, and the end of one that takes longer."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import RetryLater

PATIENCE_SECONDS = 5
LATE_PATIENCE_SECONDS = 3  # after a time limit: all has ended within five seconds
START = "compose"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that each step may take, and those of single stages; None: as long as it needs."""

    each: float | None = None
    stages: Mapping[str, float] = field(default_factory=dict)

    def of(self, stage: str) -> float | None:
        """Seconds that a stage may take."""
        return self.stages.get(stage, self.each)


@dataclass(slots=True)
class Watch:
    """Told when a step starts; ends the whole process group when one takes too long."""

    progress: Callable[[str], None]
    limits: Limits
    process: subprocess.Popen[str] | None = None
    timer: threading.Timer | None = None
    late: str = ""

    def __call__(self, stage: str) -> None:
        """A stage begins: tell it, and watch it."""
        self.progress(stage)
        self.step(stage)

    def step(self, name: str) -> None:
        """A step begins; the one before it has ended."""
        self.rest()
        if (limit := self.limits.of(name)) is not None:
            self.timer = threading.Timer(limit, self._end, (name,))
            self.timer.daemon = True
            self.timer.start()

    def rest(self) -> None:
        """No step is under way."""
        if self.timer is not None:
            self.timer.cancel()
            if self.late:
                self.timer.join()  # it is still ending what is left
            self.timer = None

    def _end(self, name: str) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.late = name
            stop(self.process, LATE_PATIENCE_SECONDS)

    def too_late(self, where: Path) -> RetryLater:
        """What to tell of the step that was ended."""
        return RetryLater(
            f"stage {self.late} took longer than it may, and was ended",
            where=str(where),
            expected=f"at most {self.limits.of(self.late):g} s",
            fix="repeat when the machine has room, or raise time_limit (time_limits) of the fleet",
        )


def stop(process: subprocess.Popen[str], patience: float = PATIENCE_SECONDS) -> None:
    """End a process with its whole group, gently first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
