"""What a version consists of, and reading it so that the bytes checked are the bytes used."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from registry.errors import RegistryError
from registry.files import Journal, refused, sha256
from registry.signing import check_signature
from registry.slots import check_version, version_number

FILE, CARD, FORMAT = "manifest.json", "card.json", 1
REGISTERED, COLLECTED = "registered", "collected"
_MAX_MANIFEST_BYTES = 4 * 2**20
_MAX_DEPTH = 8
_PIECE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
_FIX = "use another version (registry rollback), or bring the folder back from a backup"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a version: digest and size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """All files of a version; `digest` stands for their names, sizes and bytes."""

    entries: Mapping[str, Entry]

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> Manifest:
        """Describe files.

        Raises
        ------
        RegistryError
            When there is no file, or a name is not a plain relative path.
        """
        _check_names(files)
        return cls({name: Entry(sha256(files[name]), len(files[name])) for name in sorted(files)})

    @classmethod
    def parse(cls, content: bytes, where: object) -> Manifest:
        """Read a manifest; anything but the very bytes that `to_bytes` writes is refused."""
        intact = False
        with contextlib.suppress(*_UNREADABLE, RegistryError):
            told = json.loads(content)["files"]
            manifest = cls({n: Entry(str(e["sha256"]), int(e["size"])) for n, e in told.items()})
            _check_names(manifest.entries)
            intact = manifest.to_bytes() == content
        if not intact:
            raise refused("the manifest is damaged", where=where, fix=_FIX)
        return manifest

    @property
    def digest(self) -> str:
        """Hex sha256 over the table of files."""
        return sha256(json.dumps(self._table(), sort_keys=True, separators=(",", ":")).encode())

    def to_bytes(self) -> bytes:
        """Canonical JSON: the same bytes for the same files."""
        told = {"format": FORMAT, "digest": self.digest, "files": self._table()}
        return json.dumps(told, sort_keys=True, indent=1).encode() + b"\n"

    def _table(self) -> dict[str, dict[str, str | int]]:
        return {n: {"sha256": e.sha256, "size": e.size} for n, e in self.entries.items()}


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """A version in memory, every byte of it checked."""

    version: str
    digest: str
    contents: Mapping[str, bytes]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the files, sorted."""
        return tuple(sorted(self.contents))

    def read(self, name: str) -> bytes:
        """Bytes of one file.

        Raises
        ------
        RegistryError
            When the version has no such file.
        """
        if name not in self.contents:
            raise _no_file(self.version, name, self.names)
        return self.contents[name]

    def manifest(self) -> Manifest:
        """Describe the files; the same as on disk."""
        return Manifest.of(self.contents)

    def card(self) -> dict[str, Any]:
        """Read what the version says of itself (`card.json`)."""
        return parse_card(self.read(CARD), self.version)


def read_bundle(place: Path, version: str, *, signed: bool = True) -> VerifiedBundle:
    """Read every file of a version once, and hand out only bytes that the manifest vouches for.

    Parameters
    ----------
    signed
        Whether a signature is asked for where a key is configured.

    Raises
    ------
    RegistryError
        Naming the file that is missing, extra, a link, cut or changed.
    """
    manifest, folder = read_manifest(place, version, signed=signed), place / version
    return VerifiedBundle(
        version, manifest.digest, MappingProxyType(read_entries(folder, manifest))
    )


def read_entries(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """Read the files of a folder that holds what its manifest names, and nothing else."""
    found, expected = _names_in(folder), {FILE, *manifest.entries}
    if missing := sorted(expected - found):
        raise refused("a file is missing", where=folder / missing[0], fix=_FIX)
    if extra := sorted(found - expected):
        raise refused("an entry is not in the manifest", where=folder / extra[0], fix=_FIX)
    return {name: _read(folder / name, entry) for name, entry in manifest.entries.items()}


def read_file(place: Path, version: str, name: str) -> bytes:
    """Read one file of a version, verified, without the others."""
    entries = read_manifest(place, version).entries
    if name not in entries:
        raise _no_file(f"{place / version}", name, tuple(entries))
    return _read(place / version / name, entries[name])


def read_manifest(place: Path, version: str, *, signed: bool = True) -> Manifest:
    """Read a version's manifest and hold it against the digest it was registered with."""
    registered = registered_digest(place, version, signed=signed)
    path = place / version / FILE
    manifest = Manifest.parse(read_plain(path, _MAX_MANIFEST_BYTES), path)
    if manifest.digest != registered:
        raise refused(
            "the version is not what was registered",
            where=path,
            found=f"digest {manifest.digest[:12]}",
            expected=registered[:12],
            fix=_FIX,
        )
    return manifest


def registered_digest(place: Path, version: str, *, signed: bool = True) -> str:
    """Digest that a version was registered with, signed where a key is configured."""
    check_version(version, place)
    if version not in (known := version_folders(place)):
        told = f"one of {', '.join(known[-5:])}" if known else "there is none yet"
        raise refused("no such version", where=place, found=version, expected=told)
    path = events_path(place, version)
    journal = Journal.read(path)
    first = dict(journal.records).get(1, {})
    digest = first.get("digest")
    if first.get("event") != REGISTERED or not isinstance(digest, str):
        raise refused("does not tell what was registered", where=path, fix=_FIX)
    if signed:
        records = (record for _, record in journal.records)
        check_signature(slot_name(place), version, digest, records)
    return digest


def slot_name(place: Path) -> str:
    """Name of the slot whose folder this is."""
    return f"{place.parent.name}/{place.name}"


def events_path(place: Path, version: str) -> Path:
    """Journal of what became known of a version."""
    return place / f"{version}.events.jsonl"


def version_folders(place: Path) -> list[str]:
    """Names of a slot's versions, oldest first; links do not count."""
    if not place.is_dir():
        return []
    with os.scandir(place) as entries:
        folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    return sorted((n for n in folders if version_number(n)), key=lambda name: (len(name), name))


def parse_card(content: bytes, where: object) -> dict[str, Any]:
    """Read a card as plain values."""
    try:
        card = json.loads(content)
    except (ValueError, RecursionError):
        card = None
    if not isinstance(card, dict):
        raise refused("card.json is not a JSON object", where=where)
    return card


def _check_names(names: Mapping[str, object]) -> None:
    if not names:
        raise refused("a version without files")
    for name in names:
        pieces = name.split("/") if isinstance(name, str) else [""]
        if len(pieces) > _MAX_DEPTH or not all(_PIECE.fullmatch(piece) for piece in pieces):
            expected = "a relative path of letters, digits, '.', '_' and '-', not hidden"
            raise refused("is not a file name", found=repr(name)[:200], expected=expected)
    paths = [PurePosixPath(name.lower()) for name in (*names, FILE)]
    taken = Counter([*paths, *{folder for path in paths for folder in path.parents}])
    if clash := sorted(str(path) for path, times in taken.items() if times > 1):
        raise refused("a file name is taken or differs in case only", found=clash[0])


def _names_in(folder: Path) -> set[str]:
    try:
        return set(_walk(folder, ""))
    except OSError as error:
        found = str(error.strerror)
        raise refused("a version cannot be read", where=folder, found=found, fix=_FIX) from error


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                inside = list(_walk(Path(entry.path), f"{name}/"))
                yield from inside or [f"{name}/"]
            else:
                yield name


def _read(path: Path, entry: Entry) -> bytes:
    content = read_plain(path, entry.size)
    if len(content) != entry.size:
        found, expected = f"{len(content)} bytes", f"{entry.size} bytes"
        raise refused("a file is cut", where=path, found=found, expected=expected, fix=_FIX)
    if (digest := sha256(content)) != entry.sha256:
        found, expected = f"sha256 {digest[:12]}", entry.sha256[:12]
        raise refused("a file is damaged", where=path, found=found, expected=expected, fix=_FIX)
    return content


def read_plain(path: Path, most: int) -> bytes:
    """Read a plain file of at most so many bytes; links, pipes and folders are refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise refused(
            "a file cannot be read", where=path, found=str(error.strerror), fix=_FIX
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        told = os.fstat(descriptor)
        if not stat.S_ISREG(told.st_mode):
            raise refused("is not a plain file", where=path, fix=_FIX)
        if told.st_size > most:
            raise refused(
                "a file is too long",
                where=path,
                found=f"{told.st_size} bytes",
                expected=f"at most {most}",
                fix=_FIX,
            )
        return file.read(most)


def _no_file(where: str, name: str, names: tuple[str, ...]) -> RegistryError:
    found, expected = repr(name), f"one of {', '.join(names)}"
    return refused("the version has no such file", where=where, found=found, expected=expected)
