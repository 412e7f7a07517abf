"""Processes of this machine, one for each slot: what it held is free again when it is done."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from pipeline import log
from pipeline.config import Record
from pipeline.cores import THREADS
from pipeline.operations.caught import INTERRUPTED
from pipeline.operations.walk.executors.base import Result, Room, Task

LEAVE_SECONDS = 12  # a slot needs some to end its dvc first


class Local(Record):
    """As many processes as the walk has cores, each slot with its share of them."""

    processes: Annotated[int | None, Field(ge=1, description="slots at once")] = None
    attempts: Annotated[int, Field(ge=1, le=10)] = 2

    def room(self, slots: int, cores: int) -> Room:
        """See `Executor.room`."""
        together = max(1, min(slots, self.processes or cores))
        return Room(together, max(1, cores // together), here=together == 1)

    def run(
        self, work: Callable[[Task], Result], tasks: Sequence[Task], room: Room
    ) -> Iterator[tuple[int, Result | None]]:
        """See `Executor.run`; one at a time is done in this process."""
        if room.here:
            for number, task in enumerate(tasks):
                yield number, work(task)
            return
        begun = _Begun(work, tasks)
        try:
            yield from _shared(begun, room.slots, self.attempts)
        finally:
            begun.stop()


@dataclass(slots=True)
class _Begun:
    """Processes under way, each by the end of its pipe that is read here."""

    work: Callable[[Any], Any]
    tasks: Sequence[Any]
    running: dict[Connection, tuple[int, Any]] = field(default_factory=dict)

    def start(self, number: int) -> None:
        context = _context(self.work.__module__)
        reader, writer = context.Pipe(duplex=False)
        given = self.work, self.tasks[number], writer, dict(os.environ)
        process = context.Process(target=_serve, args=given)
        with log.environment({**THREADS, **_imports()}):
            process.start()
        writer.close()
        self.running[reader] = number, process

    def end(self, reader: Connection) -> tuple[int, Any, bool]:
        """Number and result of one that ended, and whether it told one."""
        number, process = self.running.pop(reader)
        try:
            result, whole = reader.recv(), True
        except EOFError:
            result, whole = None, False
        reader.close()
        process.join()
        return number, result, whole

    def stop(self) -> None:
        """End what is left, gently first."""
        left = [process for _, process in self.running.values()]
        for process in left:
            process.terminate()
        for process in left:
            process.join(LEAVE_SECONDS)
            process.kill()


def _shared(begun: _Begun, together: int, attempts: int) -> Iterator[tuple[int, Any]]:
    waiting = deque(range(len(begun.tasks)))
    tried = dict.fromkeys(waiting, 0)
    while waiting or begun.running:
        while waiting and len(begun.running) < together:
            number = waiting.popleft()
            tried[number] += 1
            begun.start(number)
        for reader in wait(list(begun.running)):
            assert isinstance(reader, Connection)
            number, result, whole = begun.end(reader)
            if whole or tried[number] >= attempts:
                yield number, result
            else:
                log.event("slot_process_lost", log.WARNING, task=number, attempt=tried[number])
                waiting.append(number)


def _imports() -> dict[str, str]:
    """Where this process imports from, whatever lies in the current folder."""
    places = os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": places}


def _context(module: str) -> Any:
    """Processes that begin with all imported: copies of one that has done nothing else.

    That one is told of one thread, since a copy has no other; the copies know the real environment.
    """
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    context.set_forkserver_preload([module])
    return context


def _serve(
    work: Callable[[Any], Any], task: Any, writer: Connection, environment: dict[str, str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells the parent, who ends us
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        writer.send(work(task))
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(number: int, frame: object) -> None:  # noqa: ARG001
    raise KeyboardInterrupt
