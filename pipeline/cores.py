"""How many processes a run may have, what each of them is told, and how much one has held."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

from pipeline.config import Node, Record
from pipeline.errors import ConfigError

LOCAL_KEY = "workers"
VARIABLE = "VINTAGE_WORKERS"
THREADS = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "NUMBA_NUM_THREADS",
    ),
    "1",
)


class WorkersFact(Record):
    """How many processes may work at once; it changes no bytes, and no stage depends on it."""

    workers: Annotated[int | None, Field(ge=1, description="processes")] = None

    @classmethod
    def of_local(cls, local: Node) -> Self:
        """Read it from the facts that stand beside a run's configuration."""
        return cls.parse({LOCAL_KEY: local.get(LOCAL_KEY)}, LOCAL_KEY)


def worker_count(chosen: int | None, environment: Mapping[str, str] = os.environ) -> int:
    """Processes that may work at once: as the environment says, as chosen, or one for each core.

    Raises
    ------
    ConfigError
        When the environment's is no whole number from 1.

    Examples
    --------
    >>> worker_count(3, {}), worker_count(3, {"VINTAGE_WORKERS": "2"})
    (3, 2)
    """
    told = environment.get(VARIABLE, "").strip()
    if told:
        if not (told.isdecimal() and int(told) >= 1):
            raise ConfigError(
                f"{VARIABLE} is no number of processes",
                found=told,
                expected="a whole number from 1",
                fix="correct or unset it",
            )
        return int(told)
    return chosen or _cores()


def peak_mb() -> int:
    """Most memory that this process has held, MiB.

    Of the process itself where the system tells it: `resource` starts from the parent's.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1024
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit


def cpu_seconds() -> float:
    """Of this process and of those that it started and that ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
