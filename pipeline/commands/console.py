"""How commands speak: progress on a terminal, little or nothing in a pipe, aligned tables."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from registry import tables

WIDTH = 96
PIPE = r"\|"
QUIET_SECONDS = 10  # between two lines of a log


class Progress(Protocol):
    """Tells what is being done now."""

    def __call__(self, step: str) -> None:
        """Replace the line by `step`."""
        ...


@contextmanager
def progress(title: str, logged: bool = False) -> Iterator[Progress]:
    """Show one moving line on a terminal's stderr.

    Parameters
    ----------
    logged
        Write a line into a pipe, too, when nothing was written for ten seconds.
    """
    started = told = time.monotonic()
    terminal = sys.stderr.isatty()

    def show(step: str) -> None:
        nonlocal told
        now = time.monotonic()
        line = f"{title}: {step} ({now - started:.0f} s)"
        if terminal:
            room = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\x1b[2K{line[:room]}")
            sys.stderr.flush()
        elif logged and now - told >= QUIET_SECONDS:
            told = now
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    show("starting")
    try:
        yield show
    finally:
        if terminal:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


def told(name: str, text: str) -> str:
    """One named paragraph, wrapped and hanging under its name.

    Examples
    --------
    >>> print(told("verdict", "Fine."))
      verdict   Fine.
    """
    lead = f"  {name:<10}"
    indent = " " * len(lead)
    return textwrap.fill(
        text, WIDTH, initial_indent=lead, subsequent_indent=indent, break_on_hyphens=False
    )


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Aligned plain text; numbers to the right.

    Examples
    --------
    >>> print(table(["name", "rows"], [["a", 10], ["bcd", 7]]))
    name  rows
    a       10
    bcd      7
    """
    if not rows:
        return "  ".join(header)
    return tables.table([dict(zip(header, row, strict=True)) for row in rows])


def markdown(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """The same as a Markdown table.

    Examples
    --------
    >>> print(markdown(["a"], [[1]]))
    | a |
    |---|
    | 1 |
    """
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [f"| {' | '.join(_escaped(value) for value in row)} |" for row in rows]
    return "\n".join(lines)


def _escaped(value: Any) -> str:
    return tables.cell(value).replace("|", PIPE)
