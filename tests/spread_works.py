"""Work for the tests of `pipeline.workers`: light to import, because every worker imports it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from pipeline import workers
from pipeline.errors import DataError


def in_worker() -> bool:
    return multiprocessing.parent_process() is not None


def always_worth(patch: object = workers) -> None:
    """Start workers however small the work; a test undoes it with monkeypatch."""
    patch.WORTH_SECONDS, patch.IMPORT_SECONDS = 1e-12, 0.0  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Squares:
    """Squares, and whether a worker made them; below zero it stays here."""

    def __call__(self, task: int) -> tuple[int, bool]:
        return task * task, in_worker()

    def size(self, task: int) -> float:
        return 1.0

    def stays(self, task: int) -> bool:
        return task < 0


class Threads(Squares):
    """What the libraries of numbers take themselves to be allowed."""

    def __call__(self, task: int) -> tuple[list[int], bool]:  # type: ignore[override]
        import numpy as np
        from threadpoolctl import threadpool_info

        np.ones((8, 8)) @ np.ones((8, 8))
        return [int(each["num_threads"]) for each in threadpool_info()], in_worker()


class KilledInWorker(Squares):
    """Ends its worker as the system does when memory is short."""

    def __call__(self, task: int) -> tuple[int, bool]:
        if in_worker():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(task)


class Refused(Squares):
    """Refuses in a worker and here, in the words of an error."""

    def __call__(self, task: int) -> tuple[int, bool]:
        if task == 3:
            raise DataError("three is odd", where="here", found="3", expected="2", fix="say 2")
        return super().__call__(task)


@dataclass(frozen=True)
class Endless(Squares):
    """In a worker writes down its process and never ends; stays busy here until it is told to."""

    folder: Path

    def __call__(self, task: int) -> tuple[int, bool]:
        if in_worker():
            (self.folder / f"{os.getpid()}.pid").touch()
            threading.Event().wait()
        if task < 0:
            while True:
                threading.Event().wait(0.05)
        return super().__call__(task)


def main() -> None:
    """Spread endless work, as a command does: SIGTERM interrupts it."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    always_worth()
    workers.spread(Endless(Path(sys.argv[1])), [0, 1, 2, -1], workers=2)


if __name__ == "__main__":
    main()
