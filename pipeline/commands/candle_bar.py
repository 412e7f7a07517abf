"""A bar of candles with rate and remaining time on a terminal; nothing in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.market.sync import Progress


@contextmanager
def candle_bar(title: str) -> Iterator[Callable[[Progress], None]]:
    """Show how far a sync is, on stderr."""
    if not sys.stderr.isatty():
        yield _nothing
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("candles, {task.fields[rate]}/s"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, rate="?")

        def show(progress: Progress) -> None:
            speed = bar.tasks[0].speed
            rate = f"{speed:.0f}" if speed else "?"
            bar.update(task, completed=progress.done, total=progress.total, rate=rate)

        yield show


def _nothing(progress: Progress) -> None:
    pass
