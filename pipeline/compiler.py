"""numba, and its cache of compiled functions kept where `pipeline.kernel_cache` says.

It is imported without the collections that would look in vain through all that stays of it.
"""

from __future__ import annotations

import gc
import hashlib
import inspect
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.kernel_cache import cache_folder, digest, digest_at_start, name_inside

_collects = gc.isenabled()
gc.disable()

import numba  # noqa: E402
from numba.core import caching  # noqa: E402

gc.freeze()
if _collects:
    gc.enable()

_UNREADABLE = (OSError, EOFError, ValueError, caching.pickle.UnpicklingError)


def dispatcher(function: Callable[..., Any]) -> Any:
    """Numba's function, compiled by its first call; those of this package are kept on disk."""
    compiled = numba.njit(error_model="numpy", nogil=True)(function)
    if name_inside(inspect.getfile(function)) and cache_folder() is not None:
        compiled._cache = _KernelCache(function)  # noqa: SLF001
    return compiled


class _KernelLocator:
    """Tells numba where a function's machine code lies, in terms free of paths and times."""

    def __init__(self, function: Callable[..., Any], source: str, folder: Path) -> None:
        self._py_file = source
        self._place = hashlib.sha256(name_inside(source).encode()).hexdigest()[:8]
        self._line = function.__code__.co_firstlineno
        self._folder = folder

    @classmethod
    def from_function(cls, function: Callable[..., Any], source: str) -> _KernelLocator | None:
        folder = cache_folder()
        return None if folder is None else cls(function, source, folder)

    def ensure_cache_path(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return digest_at_start()

    def get_disambiguator(self) -> str:
        return f"{self._place}-{self._line}"


class _KernelCacheFiles(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_KernelLocator,)


class _KernelCache(caching.FunctionCache):  # type: ignore[misc]
    """numba's cache of one function; a damaged or full disk costs a compilation, no error."""

    _impl_class = _KernelCacheFiles

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(signature, target_context)
        except _UNREADABLE:
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        with suppress(OSError):
            if digest() == digest_at_start():  # else this process may hold old and new modules
                super().save_overload(signature, result)
