"""How a version becomes visible: temporary folder, fsync, journal, rename; and what is swept."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from registry.files import flush_together, sync_folder, write_atomic, written
from registry.manifest import FILE, Manifest, events_path
from registry.slots import version_name, version_number

COLLECTED, TEMPORARY = ".collected-", ".tmp-"
READ_ONLY = 0o444


def sweep(place: Path) -> list[str]:
    """Delete what killed processes left in a slot's folder that is locked; names of it."""
    left = sorted(place.glob(".*.tmp"))
    for path in left:
        path.unlink()
    unpublished, collected = place.glob(f"{TEMPORARY}*"), place.glob(f"{COLLECTED}*")
    for path in unpublished:
        _discard(place, path.name.removeprefix(TEMPORARY))
        left.append(path)
    for path in collected:
        shutil.rmtree(path)
        left.append(path)
    return [path.name for path in left]


def next_version(place: Path) -> str:
    """Name the version after all that were ever registered here."""
    names = (path.name.split(".")[0] for path in place.glob("v*"))
    return version_name(1 + max((version_number(name) or 0 for name in names), default=0))


def publish(final: Path, files: Mapping[str, bytes], manifest: Manifest, line: str) -> None:
    """Write a version so that it is seen whole or not at all.

    It is announced in its journal first, so that none is visible without its digest.

    Parameters
    ----------
    final
        Its folder, which does not exist yet.
    line
        Its `registered` record.
    """
    place, temporary = final.parent, final.with_name(f"{TEMPORARY}{final.name}")
    try:
        temporary.mkdir()
        _write_together(temporary, {**files, FILE: manifest.to_bytes()})
        write_atomic(events_path(place, final.name), f"{line}\n".encode())
        temporary.rename(final)
    except OSError:
        with contextlib.suppress(OSError):
            _discard(place, final.name)
        raise
    sync_folder(place)


def _discard(place: Path, version: str) -> None:
    if not (place / version).exists():
        events_path(place, version).unlink(missing_ok=True)
        sync_folder(place)
    shutil.rmtree(place / f"{TEMPORARY}{version}")


def _write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write new files and flush them and all names at once: the disk commits them together."""
    with contextlib.ExitStack() as opened:
        descriptors = []
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            descriptors.append(opened.enter_context(written(folder / name, content, READ_ONLY)))
        for inner in (*_folders(folder), folder, folder.parent):
            descriptors.append(os.open(inner, os.O_RDONLY))
            opened.callback(os.close, descriptors[-1])
        flush_together(descriptors)


def _folders(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_dir())
