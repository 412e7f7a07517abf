"""Compiled functions, each made ready by the first call of it.

Until then nothing of numba is imported, so that what only names columns, periods and classes does
not wait for a compiler.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Any, Generic, ParamSpec, TypeVar, cast

import numpy as np

from pipeline.arrays import FloatArray
from pipeline.kernel_cache import digest_at_start
from pipeline.recording import Call, Recording, current

P = ParamSpec("P")
R = TypeVar("R")


class Kernel(Generic[P, R]):
    """A function that is compiled by its first call."""

    def __init__(self, function: Callable[P, R]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        digest_at_start()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the compiled function."""
        return cast("R", self.compiled(*args, **kwargs))

    @functools.cached_property
    def compiled(self) -> Any:
        """Numba's own, which other compiled functions have to call instead of this one."""
        from pipeline.compiler import dispatcher

        names = self._function.__globals__
        for name in _names(cast("types.FunctionType", self._function).__code__):
            if isinstance(called := names.get(name), Kernel):
                names[name] = called.compiled
        return dispatcher(self._function)


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function on first call, and keep the machine code on disk.

    Division by zero gives inf or NaN as in numpy, arithmetic is never reordered, and the
    interpreter lock is released. A function outside this package is compiled but not kept,
    because the digest of the kernel sources does not cover it.
    """
    return Kernel(function)


def series_kernel(function: Callable[..., None]) -> Callable[..., FloatArray]:
    """Compile a function that fills its last argument, an array as long as its first.

    Callers leave that argument out and get it, which costs half of what it costs a compiled
    function to return an array. Other compiled functions call ``.fills``.
    """
    compiled = Kernel(function)

    @functools.wraps(function)
    def filled(values: FloatArray, *arguments: Any) -> FloatArray:
        recording = current()
        if recording is not None:
            return _recorded(recording, compiled, (values, *arguments))
        into = np.empty(values.size)
        compiled(values, *arguments, into)
        return into

    filled.fills = compiled  # type: ignore[attr-defined]
    return filled


def _recorded(
    recording: Recording, kernel: Kernel[..., None], arguments: tuple[Any, ...]
) -> FloatArray:
    size = arguments[0].size
    kept = recording.output(arguments, size)
    into = np.empty(size) if kept is None else kept
    kernel(*arguments, into)
    if kept is not None:
        recording.calls.append(Call(kernel.compiled, (*arguments, into)))
    return into


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _names(inner)
