"""Where compiled functions are kept, in a folder that never holds stale code.

A compiled function holds the code of every function it calls. A cache that looks only at
the function's own file, or at times of change, therefore serves old code after a helper in
another module changes. Here the cache folder is named by a digest of *all* kernel sources,
so an edit anywhere among them starts an empty folder, and a second checkout with the same
sources finds what the first one compiled.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import tempfile
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
COMPILES = f"{PACKAGE.name}.kernels"
KEPT_FOLDERS = 5
_IMPORT = re.compile(
    rf"^\s*(?:from\s+({PACKAGE.name}[\w.]*)\s+import\s+(\([^)]*\)|[^\n]*)|import\s+([^\n]*))", re.M
)


@functools.cache
def cache_folder() -> Path | None:
    """Folder of this process's compiled functions, or None where nothing can be written.

    ``$VINTAGE_KERNEL_CACHE``, else ``$XDG_CACHE_HOME/vintage/kernels``, else
    ``~/.cache/vintage/kernels``; in it one folder per digest, of which the newest few stay.
    """
    try:
        parent = _parent_folder()
        folder = parent / digest_at_start()
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

    These are the modules that import `pipeline.kernels`, and every module of the package that those
    import, however indirectly.
    """
    begins = len(f"{PACKAGE}/")
    texts = {path.as_posix()[begins:]: path.read_bytes() for path in sorted(PACKAGE.rglob("*.py"))}
    found: set[str] = set()
    named = {name: text.decode(errors="replace") for name, text in texts.items()}
    waiting = {n for n, text in named.items() if "kernels" in text and COMPILES in _imported(text)}
    while waiting:
        found |= waiting
        modules = {module for name in waiting for module in _imported(named[name])}
        waiting = {name for module in modules for name in _files(module)} & set(texts) - found
    return {name: texts[name] for name in sorted(found)}


def digest() -> str:
    """First 16 hexadecimal digits of the sha256 of all kernel sources as they are on disk."""
    told = hashlib.sha256(version("numba").encode())
    for name, text in kernel_sources().items():
        told.update(f"\n{name} {len(text)}\n".encode())
        told.update(text)
    return told.hexdigest()[:16]


@functools.cache
def digest_at_start() -> str:
    """The same of the sources that this process was started with: what it has imported."""
    return digest()


def _imported(text: str) -> set[str]:
    found = set()
    for module, names, plain in _IMPORT.findall(text):
        if module:
            found |= {module, *(f"{module}.{name}" for name in re.findall(r"\w+", names))}
        else:
            found |= {*re.findall(rf"\b{PACKAGE.name}[\w.]*", plain)}
    return found


def _files(module: str) -> tuple[str, str]:
    inner = "/".join(module.split(".")[1:])
    return f"{inner}.py", f"{inner}/__init__.py"


@functools.cache
def name_inside(source: str) -> str:
    """Name of a source relative to this package; empty for others."""
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
