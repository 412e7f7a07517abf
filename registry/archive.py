"""Backup of a registry to one file, and restoring it: every byte verified on both ways.

The file is a ZIP of the slots' files and ``index.json``, which holds the sha256 and size of each
and, as `digest`, of itself without that key. A restored slot is built beside the others, verified
as a registry of its own and then renamed into place; the slot that stood there is kept aside.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from registry.errors import RegistryError
from registry.files import LOCK, locked, make_folder, refused, sha256, sync_folder, write_new
from registry.folders import sync_tree
from registry.manifest import Entry, read_plain
from registry.publishing import READ_ONLY
from registry.slots import Slot, version_number
from registry.versions import Registry

INDEX, FORMAT = "index.json", 1
ASIDE, BUILT = ".replaced", ".restore-"
WRITABLE = 0o644
MAX_BYTES = 2**30
_EPOCH = (1980, 1, 1, 0, 0, 0)
_BROKEN = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Packed:
    """What a backup holds: slots, versions, files and bytes."""

    slots: tuple[str, ...]
    versions: int
    files: int
    bytes: int


def backup(registry: Registry, file: Path, slots: Sequence[Slot] = ()) -> Packed:
    """Write slots (default all) to a new file and read it back before it gets its name.

    Raises
    ------
    RegistryError
        When a slot is damaged, the file exists or cannot be written.
    """
    if file.exists():
        raise refused("exists already", where=file, fix="name a file that is not there yet")
    chosen = list(slots) or registry.slots()
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}.tmp")
    with _telling("the backup cannot be written", file):
        try:
            with temporary.open("xb") as target:
                _pack(registry, chosen, target)
            packed = _packed(read_index(temporary, whole=True))
            temporary.rename(file)
            sync_folder(file.parent)
        finally:
            temporary.unlink(missing_ok=True)
    return packed


def restore(registry: Registry, file: Path, *, replace: bool = False) -> tuple[Packed, list[Path]]:
    """Bring back every slot of a backup.

    Parameters
    ----------
    replace
        Move slots that exist already aside, to ``.replaced/`` under the root; the folders that
        they are kept in are returned.

    Raises
    ------
    RegistryError
        When the file is not what was backed up, or slots exist; nothing has changed then.
    """
    entries = read_index(file, whole=True)
    packed = _packed(entries)
    slots = [Slot.parse(name) for name in packed.slots]
    standing = [str(slot) for slot in slots if slot.folder(registry.root).exists()]
    if standing and not replace:
        raise refused(
            "slots of the backup exist already",
            where=registry.root,
            found=", ".join(standing),
            fix="--yes moves them aside, or give another --root",
        )
    with _telling("the backup cannot be restored", registry.root):
        make_folder(registry.root)
        sweep_restores(registry.root)
        built = registry.root / f"{BUILT}{secrets.token_hex(4)}"
        try:
            _unpack(file, entries, built)
            if findings := Registry(built).verify():
                what = f"{findings[0].slot}: {findings[0].what}"
                raise refused("the backup does not verify", where=file, found=what.rstrip("."))
            aside = [_install(registry.root, built, slot) for slot in slots]
        finally:
            shutil.rmtree(built, ignore_errors=True)
    return packed, [path for path in aside if path]


def read_index(file: Path, *, whole: bool = False) -> dict[str, Entry]:
    """Read what a backup holds; with `whole` every byte is held against it.

    Raises
    ------
    RegistryError
        When the file is not a backup, or damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = _index(archive, file)
            for name, entry in entries.items() if whole else ():
                _content(archive, name, entry, file)
    except _BROKEN as error:
        found = str(getattr(error, "strerror", None) or error)
        fix = "take another backup"
        raise refused("is no intact backup", where=file, found=found, fix=fix) from None
    return entries


def sweep_restores(root: Path) -> list[str]:
    """Delete what killed restores left; its names."""
    left = sorted(root.glob(f"{BUILT}*"))
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in left]


def _pack(registry: Registry, slots: Sequence[Slot], target: IO[bytes]) -> None:
    entries: dict[str, Entry] = {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for slot in slots:
            for name, content in _files(registry, slot):
                entries[name] = Entry(sha256(content), len(content))
                archive.writestr(_named(name), content)
        archive.writestr(_named(INDEX), _index_bytes(entries))


def _named(name: str) -> zipfile.ZipInfo:
    told = zipfile.ZipInfo(name, _EPOCH)
    told.compress_type = zipfile.ZIP_DEFLATED
    told.external_attr = WRITABLE << 16
    return told


def _files(registry: Registry, slot: Slot) -> Iterator[tuple[str, bytes]]:
    place = slot.folder(registry.root)
    if not place.is_dir():
        raise refused("no such slot", where=registry.root, found=str(slot))
    with locked(place):
        if findings := registry.verify(slot):
            raise refused(
                "a damaged slot is not backed up",
                where=slot,
                found=findings[0].what.rstrip("."),
                fix="name the sound slots after the file, or restore this one from an older backup",
            )
        for path in sorted(path for path in place.rglob("*") if path.is_file()):
            name = path.relative_to(place)
            if not any(piece.startswith(".") for piece in name.parts):
                yield f"{slot}/{name.as_posix()}", read_plain(path, MAX_BYTES)


def _index_bytes(entries: Mapping[str, Entry]) -> bytes:
    told: dict[str, Any] = {"format": FORMAT, "files": _table(entries)}
    whole = {**told, "digest": sha256(json.dumps(told, sort_keys=True).encode())}
    return json.dumps(whole, sort_keys=True, indent=1).encode() + b"\n"


def _table(entries: Mapping[str, Entry]) -> dict[str, list[str | int]]:
    return {name: [entry.sha256, entry.size] for name, entry in entries.items()}


def _index(archive: zipfile.ZipFile, file: Path) -> dict[str, Entry]:
    names = archive.namelist()
    if INDEX not in names or archive.getinfo(INDEX).file_size > MAX_BYTES:
        raise refused("is not a backup of a registry", where=file, expected=f"{INDEX} in it")
    content = archive.read(INDEX)
    entries = {}
    with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError, RecursionError):
        table = json.loads(content)["files"].items()
        entries = {name: Entry(str(told[0]), int(told[1])) for name, told in table}
    odd = [name for name in entries if not _is_sound(name)]
    if odd or _index_bytes(entries) != content or sorted(names) != sorted([*entries, INDEX]):
        raise refused("the index of the backup is damaged", where=file, fix="take another backup")
    return entries


def _is_sound(name: str) -> bool:
    recipe, _, below = name.partition("/")
    market, _, inside = below.partition("/")
    with contextlib.suppress(RegistryError):
        Slot.parse(f"{recipe}/{market}")
        plain = all(piece and not piece.startswith(".") for piece in inside.split("/"))
        return plain and "\\" not in name
    return False


def _content(archive: zipfile.ZipFile, name: str, entry: Entry, file: Path) -> bytes:
    if archive.getinfo(name).file_size == entry.size <= MAX_BYTES:
        content = archive.read(name)
        if sha256(content) == entry.sha256:
            return content
    raise refused("a file of the backup is damaged", where=f"{file}: {name}")


def _packed(entries: Mapping[str, Entry]) -> Packed:
    places = [PurePosixPath(name).parts for name in entries]
    slots = sorted({f"{recipe}/{market}" for recipe, market, *_ in places})
    versions = {place[:3] for place in places if version_number(place[2])}
    total = sum(entry.size for entry in entries.values())
    return Packed(tuple(slots), len(versions), len(entries), total)


def _unpack(file: Path, entries: Mapping[str, Entry], built: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        for name, entry in entries.items():
            content = _content(archive, name, entry, file)
            of_version = version_number(name.split("/")[2])
            (built / name).parent.mkdir(parents=True, exist_ok=True)
            write_new(built / name, content, READ_ONLY if of_version else WRITABLE)
    sync_tree(built)


def _install(root: Path, built: Path, slot: Slot) -> Path | None:
    place = slot.folder(root)
    make_folder(place.parent)
    aside = None
    if place.exists():
        with locked(place):
            aside = _free(root / ASIDE / str(slot))
            make_folder(aside.parent)
            place.rename(aside)
            (aside / LOCK).unlink(missing_ok=True)
    slot.folder(built).rename(place)
    sync_folder(place.parent)
    return aside


def _free(path: Path) -> Path:
    number = 1
    while path.with_name(f"{path.name}.{number}").exists():
        number += 1
    return path.with_name(f"{path.name}.{number}")


@contextlib.contextmanager
def _telling(what: str, where: object) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        found, fix = str(error.strerror or error), "make room or give access, and try again"
        raise refused(what, where=where, found=found, fix=fix) from error
