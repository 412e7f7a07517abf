"""One line that says how far a sync is, how long it still takes, and what it waits for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.commands.console import Progress as Show
from pipeline.commands.console import progress
from pipeline.market.sync import Progress


@dataclass(slots=True)
class CandleBar:
    """Puts what came so far and what is done now into one line."""

    show: Show
    so_far: str = ""
    since: float | None = None

    def candles(self, came: Progress) -> None:
        """Tell how many of the candles have come."""
        now = time.monotonic()
        self.since = now if self.since is None else self.since
        self.so_far = f"{came.done:,} of {came.total:,} candles"
        if came.done and now > self.since:
            left = (now - self.since) * (came.total - came.done) / came.done
            self.so_far += f", about {left:.0f} s left"
        self.show(self.so_far)

    def note(self, sign: str) -> None:
        """Tell what is done now: a page, or a wait and why."""
        self.since = time.monotonic() if self.since is None else self.since
        self.show(f"{self.so_far}; {sign}" if self.so_far else sign)


@contextmanager
def candle_bar(title: str) -> Iterator[CandleBar]:
    """Show it on stderr: moving on a terminal, a line now and then in a log."""
    with progress(title, logged=True) as show:
        yield CandleBar(show)
