"""What compiled functions were called with, to be called again on new values in the same places.

Entering a compiled function costs a microsecond or two of Python around it: naming what it reads,
making room for what it writes. Where the same functions run over arrays of the same lengths again
and again, all of that can be done once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from pipeline.arrays import FloatArray

_LINE = 8  # numbers: what the processor fetches at a time


class Call(NamedTuple):
    """A function, and all of its arguments with the array that it writes."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Recording:
    """Calls in the order in which they were made, all reading and writing one piece of memory.

    Parameters
    ----------
    size
        Numbers that fit into that piece. Once it is full, nothing more is recorded.
    """

    def __init__(self, size: int) -> None:
        self.memory = np.zeros(size)
        self.calls: list[Call] = []
        self._taken = 0

    def array(self, size: int) -> FloatArray:
        """Take a part of the memory for so many numbers."""
        first = self._taken
        self._taken += room(size)
        return self.memory[first : first + size]

    def holds(self, array: FloatArray) -> bool:
        """Whether an array lies in the memory as a whole."""
        return bool(np.may_share_memory(array, self.memory)) and array.strides == (8,)

    def offset(self, array: FloatArray) -> int:
        """Place of an array's first number in the memory."""
        return (array.ctypes.data - self.memory.ctypes.data) // 8

    def output(self, arguments: tuple[Any, ...], size: int) -> FloatArray | None:
        """A part for what a function writes; None where it is full, or reads from elsewhere."""
        read = (each for each in arguments if isinstance(each, np.ndarray))
        known = all(self.holds(each) for each in read if each.dtype == np.float64)
        return self.array(size) if known and self._taken + room(size) <= self.memory.size else None


def room(size: int) -> int:
    """What an array of so many numbers takes of the memory.

    Examples
    --------
    >>> room(8), room(9)
    (8, 16)
    """
    return -(-size // _LINE) * _LINE


@contextmanager
def recording(into: Recording) -> Iterator[None]:
    """Record what this thread calls."""
    _THREAD.recording = into
    try:
        yield
    finally:
        _THREAD.recording = None


def current() -> Recording | None:
    """What this thread records into."""
    return _THREAD.recording


class _Thread(threading.local):
    recording: Recording | None = None


_THREAD = _Thread()
