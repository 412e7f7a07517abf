"""Versions out of and into plain folders: export, and what `add` reads."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from registry.files import refused, sync_folder, write_new
from registry.manifest import FILE, Manifest, VerifiedBundle, read_entries, read_plain

MAX_BYTES = 2**30


def read_folder(folder: Path) -> dict[str, bytes]:
    """Read the files of a folder; a manifest among them is held against the others.

    Raises
    ------
    RegistryError
        When it is no folder, holds a link or a file that is too large, or is not what its
        manifest says.
    """
    if not folder.is_dir():
        raise refused("is not a folder", where=folder, fix="name a folder of files")
    with _telling("a folder cannot be read", folder):
        paths = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or path.is_file()]
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    if FILE in names:
        manifest = Manifest.parse(read_plain(names[FILE], MAX_BYTES), names[FILE])
        return read_entries(folder, manifest)
    return {name: read_plain(path, MAX_BYTES) for name, path in names.items()}


def export(bundle: VerifiedBundle, folder: Path) -> None:
    """Write a version's files and their manifest to a new folder, whole or not at all.

    Raises
    ------
    RegistryError
        When the folder exists or cannot be written.
    """
    if folder.exists() or folder.is_symlink():
        raise refused("exists already", where=folder, fix="name a folder that is not there yet")
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    with _telling("a version cannot be exported", folder):
        try:
            for name, content in {**bundle.contents, FILE: bundle.manifest().to_bytes()}.items():
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                write_new(temporary / name, content)
            sync_tree(temporary)
            temporary.rename(folder)
            sync_folder(folder.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def sync_tree(folder: Path) -> None:
    """Flush the names of all that stands below a folder to disk."""
    for inner, _, _ in os.walk(folder):
        sync_folder(Path(inner))


@contextlib.contextmanager
def _telling(what: str, where: object) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        found, fix = str(error.strerror or error), "make room or give access, and try again"
        raise refused(what, where=where, found=found, fix=fix) from error
