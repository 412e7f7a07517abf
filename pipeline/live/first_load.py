"""The first load of a version happens in a process of its own, so that a bad file ends only that.

A digest says that bytes are those that were registered, not that a model library survives them.
That a version loaded here, with these libraries, is kept as its event `loaded`.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import log
from pipeline.errors import VintageError
from pipeline.live.loading import unpack
from pipeline.models.bundle import FILE
from registry.errors import RegistryError
from registry.files import refused
from registry.manifest import VerifiedBundle
from registry.slots import Slot
from registry.versions import Registry

LOADED = "loaded"
LIBRARIES = ("lightgbm", "xgboost", "torch", "onnxruntime", "scikit-learn", "numpy")
SECONDS = 120
WORDS = 300


def require_loadable(
    registry: Registry, slot: Slot, verified: VerifiedBundle, plugins: Callable[[], Sequence[str]]
) -> bool:
    """Load a version in a child unless it is known to load; False when it was known.

    Parameters
    ----------
    plugins
        Asked for packages of our own only when a child is started.

    Raises
    ------
    RegistryError
        When the child dies, hangs or cannot read the version.
    """
    here = _here()
    if FILE not in verified.names or _known(
        registry.events(slot, verified.version), verified, here
    ):
        return False
    _load_in_child(registry.root, slot, verified.version, plugins())
    try:
        at, digest = pd.Timestamp.now(tz="UTC").isoformat(timespec="seconds"), verified.digest
        registry.note(slot, verified.version, LOADED, at, digest=digest, on=here)
    except RegistryError as error:
        log.event(
            "load_not_kept", log.WARNING, slot=str(slot), version=verified.version, why=str(error)
        )
    return True


def _known(events: Iterable[dict[str, Any]], verified: VerifiedBundle, here: str) -> bool:
    wanted = (LOADED, verified.digest, here)
    return any((each.get("event"), each.get("digest"), each.get("on")) == wanted for each in events)


def _here() -> str:
    told = [platform.machine(), sys.implementation.cache_tag]
    for library in LIBRARIES:
        try:
            told.append(f"{library} {metadata.version(library)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(told)


def _load_in_child(root: Path, slot: Slot, version: str, plugins: Sequence[str]) -> None:
    command = [sys.executable, "-m", __name__, str(root.resolve()), str(slot), version, *plugins]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _unloadable(slot, version, f"it was not loaded after {SECONDS} s") from None
    if done.returncode:
        ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}"
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise _unloadable(slot, version, ": ".join([ended, *last])[:WORDS].rstrip("."))


def _unloadable(slot: Slot, version: str, found: str) -> RegistryError:
    return refused(
        "the version is intact and cannot be loaded",
        where=f"{slot} {version}",
        found=f"the process that tried ended with {found}",
        fix="serve another version (vintage registry rollback), or retrain",
    )


def _main(root: str, slot: str, version: str, *plugins: str) -> int:
    verified = Registry(Path(root)).open(Slot.parse(slot), version)
    try:
        unpack(verified.contents, plugins)
    except VintageError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
