"""A machine whose clocks stand in the hands of a test: nobody waits."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd

from pipeline.market.exchanges.machine import Machine


class Hands:
    """Turns the clocks: sleeping moves them, and so does a test."""

    def __init__(self, now: pd.Timestamp) -> None:
        self.started = now
        self.passed = 0.0
        self.moved = 0.0

    @property
    def machine(self) -> Machine:
        """What an adapter is put on."""
        return Machine(self.now, lambda: self.passed, self.sleep)

    def now(self) -> pd.Timestamp:
        """The wall clock."""
        return self.started + pd.Timedelta(self.passed + self.moved, unit="s")

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.passed += max(seconds, 1e-6)

    def set_clock(self, by: float) -> None:
        """Set the wall clock, as an administrator does."""
        self.moved += by

    @staticmethod
    @contextmanager
    def folder() -> Iterator[str]:
        """A folder for as long as one example lasts."""
        with tempfile.TemporaryDirectory() as folder:
            yield folder
