"""Processes that share a run's cores: one thread each, and no more of them than were budgeted.

Work is spread where it is worth the start of a process. Results come in the order of the tasks and
do not depend on who made them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import util
from multiprocessing.queues import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from pipeline import log
from pipeline.cores import THREADS, VARIABLE, peak_mb
from pipeline.errors import VintageError

WORTH_SECONDS = 5.0  # of CPU left for each process that is started: its imports take one to two
MANY_TASKS = 10  # to do for each process: so many are spread unmeasured, before the first is done
LAST = -1000  # of what a worker does when it ends
IMPORT_SECONDS = 2.5  # of the first task are not counted: it brings the libraries in
Task = TypeVar("Task")
Given_contra = TypeVar("Given_contra", contravariant=True)
Result = TypeVar("Result")
Made_co = TypeVar("Made_co", covariant=True)


class Work(Protocol[Given_contra, Made_co]):
    """What is done for each task; it is sent to every worker once, so its fields have to travel."""

    def __call__(self, task: Given_contra, /) -> Made_co:
        """Do one task; what comes out may depend on the task alone."""
        ...

    def size(self, task: Given_contra, /) -> float:
        """How long it takes beside other tasks, in any unit."""
        ...

    def stays(self, task: Given_contra, /) -> bool:
        """Whether its result cannot travel, so that this process has to do it."""
        ...


@dataclass(frozen=True, slots=True)
class Spread(Generic[Result]):
    """Results in the order of their tasks, and what the workers took.

    `workers` counts those beside this process; `peak_mb` is the sum of their peaks, MiB.
    """

    results: list[Result]
    workers: int = 0
    peak_mb: int = 0


def spread(work: Work[Task, Result], tasks: Sequence[Task], workers: int = 1) -> Spread[Result]:
    """Do every task once, in this process or in workers beside it.

    Of `MANY_TASKS` for each process, all processes are started at once. Else the first tasks are
    done here, which tells what the others will take. As soon as those left come to `WORTH_SECONDS`
    of CPU for a further process, as many are started as that is true for, at most ``workers - 1``.
    This process does what has to stay here and then helps. When a worker is killed, the rest is
    done here.

    Parameters
    ----------
    workers
        Processes that may work at once, this one included.
    """
    here = _Here(work, tasks)
    order = list(range(len(tasks)))
    while order:
        leaving = [number for number in order if not work.stays(tasks[number])]
        worth = int(here.seconds_of(order) / WORTH_SECONDS)
        if len(leaving) >= MANY_TASKS * workers:
            worth = workers
        count = min(workers - 1, len(leaving), worth)
        if count > 0:
            return _shared(here, order, count)
        here.do(order.pop(0))
    return Spread(here.results())


@dataclass(slots=True)
class _Here(Generic[Task, Result]):
    """Tasks done in this process, and how quickly."""

    work: Work[Task, Result]
    tasks: Sequence[Task]
    done: dict[int, Result] = field(default_factory=dict)
    rate: float = 0.0

    def do(self, number: int) -> None:
        task = self.tasks[number]
        before = time.process_time()
        self.done[number] = self.work(task)
        spent = time.process_time() - before - (0 if len(self.done) > 1 else IMPORT_SECONDS)
        self.rate = max(spent, 0.0) / max(self.work.size(task), 1e-9)

    def seconds_of(self, order: Sequence[int]) -> float:
        return self.rate * sum(self.work.size(self.tasks[number]) for number in order)

    def results(self) -> list[Result]:
        return [self.done[number] for number in range(len(self.tasks))]


def _shared(here: _Here[Task, Result], order: list[int], count: int) -> Spread[Result]:
    leaving = [number for number in order if not here.work.stays(here.tasks[number])]
    peaks: dict[int, int] = {}
    with _started(here.work, count) as pool:
        given = _Given(pool, here.tasks, deque(leaving))
        try:
            with _one_thread():
                for _ in range(count):
                    given.next()
            for number in sorted({*order} - {*leaving}):
                here.do(number)
            while (own := given.kept()) is not None:
                here.do(own)
            for number, future in given.futures.items():
                _take(here, number, future, peaks)
        except BrokenProcessPool:
            given.left.clear()
    if len(here.done) < len(here.tasks):
        _go_on_alone(here)
    return Spread(here.results(), count, sum(peaks.values()))


@dataclass(slots=True)
class _Given:
    """Tasks on their way out: whichever worker is free gets the first, this process the last."""

    pool: ProcessPoolExecutor
    tasks: Sequence[Any]
    left: deque[int]
    futures: dict[int, Future[Any]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> None:
        with self.lock:
            if not self.left:
                return
            number = self.left.popleft()
            future = self.futures[number] = self.pool.submit(_do, self.tasks[number])
        future.add_done_callback(self._free)

    def kept(self) -> int | None:
        with self.lock:
            return self.left.pop() if self.left else None

    def _free(self, future: Future[Any]) -> None:
        if future.exception() is None:
            with contextlib.suppress(BrokenProcessPool):
                self.next()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """What a process started in here is told: a library reads it when it is imported."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(THREADS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _take(
    here: _Here[Task, Result], number: int, future: Future[Any], peaks: dict[int, int]
) -> None:
    try:
        here.done[number], process, peak = future.result()
    except VintageError:
        here.do(number)  # told by this process, it has all its words
    else:
        peaks[process] = peak


def _go_on_alone(here: _Here[Task, Result]) -> None:
    left = [number for number in range(len(here.tasks)) if number not in here.done]
    log.event("worker_lost", log.WARNING, left=len(left))
    sys.stderr.write(
        "a worker process was ended from outside; this one does the rest alone. If memory was "
        f"short, give fewer: {VARIABLE}=1.\n"
    )
    for number in left:
        here.do(number)


@contextlib.contextmanager
def _started(work: Work[Any, Any], count: int) -> Iterator[ProcessPoolExecutor]:
    """A pool that leaves no process behind, whatever happens here."""
    context = multiprocessing.get_context("spawn")
    before = {child.pid for child in multiprocessing.active_children()}
    sent: SimpleQueue[Work[Any, Any]] = context.SimpleQueue()
    pool = ProcessPoolExecutor(count, context, _begin, (sent,))
    threading.Thread(target=_send, args=(sent, work, count), daemon=True).start()
    try:
        yield pool
    except BaseException:
        for child in multiprocessing.active_children():
            if child.pid not in before:
                child.kill()
        raise
    finally:
        pool.shutdown(wait=True)
        sent.close()


def _send(sent: SimpleQueue[Work[Any, Any]], work: Work[Any, Any], count: int) -> None:
    """Beside all else, as who starts waits no longer than it takes to fill a pipe."""
    with contextlib.suppress(OSError):  # they were ended, or did not need it any more
        for _ in range(count):
            sent.put(work)


class _Sent:
    """What a worker was sent when it started."""

    work: Work[Any, Any]


def _begin(sent: SimpleQueue[Work[Any, Any]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells the parent, who ends us
    util.Finalize(None, _end_at_once, exitpriority=LAST)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _Sent.work = sent.get()


def _end_at_once() -> None:
    """Without taking every imported library down first, which whoever started us would wait for."""
    if sys.exc_info()[0] is None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(task: Any) -> tuple[Any, int, int]:
    return _Sent.work(task), os.getpid(), peak_mb()
