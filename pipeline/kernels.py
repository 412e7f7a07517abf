"""Compiled functions, and a cache for them that never serves stale code.

A compiled function holds the code of every function it calls. A cache that looks only at
the function's own file, or at times of change, therefore serves old code after a helper in
another module changes. Here the cache folder is named by a digest of *all* kernel sources,
so an edit anywhere among them starts an empty folder, and a second checkout with the same
sources finds what the first one compiled.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import inspect
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numba.core import caching

from pipeline.arrays import FloatArray
from pipeline.recording import Call, Recording, current

gc.freeze()  # what numba leaves behind stays: no later collection need look through it

P = ParamSpec("P")
R = TypeVar("R")

PACKAGE = Path(__file__).resolve().parent
KEPT_FOLDERS = 5
ABOUT_THE_CACHE = ("cache_folder", "kept")
_IMPORT = re.compile(
    rf"^\s*(?:from\s+({PACKAGE.name}[\w.]*)\s+import\s+(\([^)]*\)|[^\n]*)|import\s+([^\n]*))", re.M
)
_UNREADABLE = (OSError, EOFError, ValueError, caching.pickle.UnpicklingError)


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function on first call, and keep the machine code on disk.

    Division by zero gives inf or NaN as in numpy, arithmetic is never reordered, and the
    interpreter lock is released. A function outside this package is compiled but not kept,
    because the digest of the kernel sources does not cover it.
    """
    dispatcher = numba.njit(error_model="numpy", nogil=True)(function)
    if _name_inside(inspect.getfile(function)) and cache_folder() is not None:
        dispatcher._cache = _KernelCache(function)  # noqa: SLF001
    return cast("Callable[P, R]", dispatcher)


def series_kernel(function: Callable[..., None]) -> Callable[..., FloatArray]:
    """Compile a function that fills its last argument, an array as long as its first.

    Callers leave that argument out and get it, which costs half of what it costs a compiled
    function to return an array. Other compiled functions call ``.fills``.
    """
    compiled = kernel(function)

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
    recording: Recording, compiled: Callable[..., None], arguments: tuple[Any, ...]
) -> FloatArray:
    size = arguments[0].size
    kept = recording.output(arguments, size)
    into = np.empty(size) if kept is None else kept
    compiled(*arguments, into)
    if kept is not None:
        recording.calls.append(Call(compiled, (*arguments, into)))
    return into


@functools.cache
def cache_folder() -> Path | None:
    """Folder of this process's compiled functions, or None where nothing can be written.

    ``$VINTAGE_KERNEL_CACHE``, else ``$XDG_CACHE_HOME/vintage/kernels``, else
    ``~/.cache/vintage/kernels``; in it one folder per digest, of which the newest few stay.
    """
    try:
        parent = _parent_folder()
        folder = parent / _digest_at_start()
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError):
        return None
    _prune(parent)
    return folder


def kept() -> int:
    """How many functions lie compiled in the cache; 0 where the first call will compile them."""
    folder = cache_folder()
    return 0 if folder is None else sum(1 for _ in folder.glob("*.nbi"))


def kernel_sources() -> dict[str, bytes]:
    """Every source of this package that compiled code can depend on, by relative name.

    These are the modules that import this one, except to ask about its cache, and every module
    of the package that those import, however indirectly.
    """
    begins = len(f"{PACKAGE}/")
    texts = {path.as_posix()[begins:]: path.read_bytes() for path in sorted(PACKAGE.rglob("*.py"))}
    stem = Path(__file__).stem
    own = f"{PACKAGE.name}.{stem}"
    found: set[str] = set()
    named = {name: text.decode(errors="replace") for name, text in texts.items()}
    waiting = {n for n, text in named.items() if stem in text and _compiles(_imported(text), own)}
    while waiting:
        found |= waiting
        modules = {module for name in waiting for module in _imported(named[name])}
        waiting = {name for module in modules for name in _files(module)} & set(texts) - found
    return {name: texts[name] for name in sorted(found)}


def digest() -> str:
    """First 16 hexadecimal digits of the sha256 of all kernel sources as they are on disk."""
    told = hashlib.sha256(numba.__version__.encode())
    for name, text in kernel_sources().items():
        told.update(f"\n{name} {len(text)}\n".encode())
        told.update(text)
    return told.hexdigest()[:16]


_digest_at_start = functools.cache(digest)


def _imported(text: str) -> set[str]:
    found = set()
    for module, names, plain in _IMPORT.findall(text):
        if module:
            found |= {module, *(f"{module}.{name}" for name in re.findall(r"\w+", names))}
        else:
            found |= {*re.findall(rf"\b{PACKAGE.name}[\w.]*", plain)}
    return found


def _compiles(modules: set[str], own: str) -> bool:
    named = {module for module in modules if module.startswith(f"{own}.")}
    return bool(named - {f"{own}.{name}" for name in ABOUT_THE_CACHE}) if named else own in modules


def _files(module: str) -> tuple[str, str]:
    inner = "/".join(module.split(".")[1:])
    return f"{inner}.py", f"{inner}/__init__.py"


@functools.cache
def _name_inside(source: str) -> str:
    """Relative name of a source of this package, empty for others."""
    path = Path(source).resolve()
    return path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else ""


def _parent_folder() -> Path:
    if chosen := os.environ.get("VINTAGE_KERNEL_CACHE"):
        return Path(chosen).expanduser()
    user = os.environ.get("XDG_CACHE_HOME")
    return (Path(user) if user else Path.home() / ".cache") / "vintage" / "kernels"


def _prune(parent: Path) -> None:
    with suppress(OSError):
        folders = [path for path in parent.iterdir() if re.fullmatch(r"[0-9a-f]{16}", path.name)]
        folders.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for folder in folders[KEPT_FOLDERS:]:
            shutil.rmtree(folder, ignore_errors=True)


class _KernelLocator:
    """Tells numba where a function's machine code lies, in terms free of paths and times."""

    def __init__(self, function: Callable[..., Any], source: str, folder: Path) -> None:
        self._py_file = source
        self._place = hashlib.sha256(_name_inside(source).encode()).hexdigest()[:8]
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
        return _digest_at_start()

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
            if digest() == _digest_at_start():  # else this process may hold old and new modules
                super().save_overload(signature, result)
