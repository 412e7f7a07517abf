"""The host as online adapters see it: the only place here that reads a clock or sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd


def _now() -> pd.Timestamp:
    return pd.Timestamp.now("UTC")


def silent(sign: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Wall clock (UTC), monotonic seconds, and sleep; tests give others.

    `tell` gets a sign of life for each page and each wait.
    """

    now: Callable[[], pd.Timestamp] = _now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    tell: Callable[[str], None] = silent


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock after which nothing is waited for."""

    machine: Machine
    at: float

    @classmethod
    def after(cls, machine: Machine, seconds: float) -> Deadline:
        """Deadline so many seconds from now."""
        return cls(machine, machine.monotonic() + seconds)

    @property
    def left(self) -> float:
        """Seconds that are left, 0 when it has passed."""
        return max(0.0, self.at - self.machine.monotonic())
