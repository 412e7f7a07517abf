"""Writing that survives a crash: temporary file, fsync, rename; locks and journals."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from registry.errors import RegistryError

LOCK = ".lock"
FLUSHES = 16  # side by side
LOCK_WAIT_SECONDS = 60.0
_LOCK_POLL_SECONDS = 0.005
_CHECK_LETTERS = 16


def write_atomic(path: Path, content: bytes) -> None:
    """Replace `path` by `content` so that a reader sees the old bytes or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        write_new(temporary, content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_new(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Create a file that must not exist yet and flush its bytes to disk, not its name."""
    with written(path, content, mode) as descriptor:
        os.fsync(descriptor)


@contextlib.contextmanager
def written(path: Path, content: bytes, mode: int = 0o666) -> Iterator[int]:
    """Create a file that must not exist yet; its descriptor, of bytes that are not flushed yet."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        _write_all(descriptor, content)
        yield descriptor
    finally:
        os.close(descriptor)


def flush_together(descriptors: Sequence[int]) -> None:
    """Flush files or folders to disk side by side: it commits at once what it is asked for at once.

    Raises
    ------
    OSError
        That of the first one that the disk does not take.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(len(descriptors), FLUSHES) or 1) as pool:
        for _ in pool.map(os.fsync, descriptors):
            pass


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents so that they survive power loss."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(exist_ok=True)
        sync_folder(place.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename survives power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_line(path: Path, line: str) -> None:
    """Append one line in a single write and flush it to disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    created = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        _write_all(descriptor, (line.rstrip("\n") + "\n").encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if created:
        sync_folder(path.parent)


def sha256(content: bytes) -> str:
    """Hex digest of `content`.

    Examples
    --------
    >>> sha256(b"")[:16]
    'e3b0c44298fc1c14'
    """
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only writer of an existing folder; the system frees the lock of a killed process.

    Raises
    ------
    RegistryError
        When another process keeps the lock for `LOCK_WAIT_SECONDS`, or nothing can be written.
    """
    while True:
        try:
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            found, fix = str(error.strerror), "make room or give write access, and try again"
            raise refused("cannot be locked", where=folder, found=found, fix=fix) from error
        try:
            _wait_for_lock(descriptor, folder)
            if _is_still(descriptor, folder / LOCK):
                yield
                return
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Journal:
    """Numbered records of an append-only file of JSON lines, from line 1.

    A cut-off last line was never written; `damaged` names complete lines that are no records or
    not what their `check` vouches for, which is left out of the records.
    """

    records: tuple[tuple[int, dict[str, Any]], ...]
    damaged: tuple[int, ...]

    @classmethod
    def read(cls, path: Path) -> Journal:
        """Read what is complete; a missing file is an empty journal."""
        lines = (read_if_there(path) or b"").split(b"\n")[:-1]
        read = [(number, _record(line)) for number, line in enumerate(lines, 1)]
        return cls(
            records=tuple((number, record) for number, record in read if record is not None),
            damaged=tuple(number for number, record in read if record is None),
        )


def append_record(path: Path, record: Mapping[str, Any]) -> None:
    """Append a record that says when to a journal whose folder is locked."""
    append_whole_line(path, journal_line(record))


def append_whole_line(path: Path, line: str) -> None:
    """Append a line to a journal whose folder is locked, over a cut-off last line if any."""
    content = read_if_there(path)
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
    append_line(path, line)


def journal_line(record: Mapping[str, Any]) -> str:
    """Write a record that says when (`at`) as one line of JSON, with a `check` of the rest.

    Raises
    ------
    RegistryError
        When `at` is no moment with a zone, or a value cannot be written as JSON.

    Examples
    --------
    >>> journal_line({"event": "gate", "at": "2025-12-20T00:00Z"})
    '{"event": "gate", "at": "2025-12-20T00:00Z", "check": "253f378a35f53460"}'
    """
    at = record.get("at")
    if not _is_moment(at):
        expected = "a moment with its zone, such as 2025-12-20T00:00Z"
        raise refused("'at' is not a moment", found=repr(at), expected=expected)
    return json_line({**record, "check": _check(json_line(record))})


def json_line(record: Mapping[str, Any]) -> str:
    """Write a record as one line of JSON.

    Raises
    ------
    RegistryError
        When a value cannot be written as JSON.

    Examples
    --------
    >>> json_line({"rows": 5})
    '{"rows": 5}'
    """
    try:
        return json.dumps(dict(record), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise refused(
            "a record cannot be written as JSON",
            found=str(error),
            fix="give text, finite numbers, lists and mappings",
        ) from None


def read_if_there(path: Path) -> bytes | None:
    """Read a file; None when it does not exist.

    Raises
    ------
    RegistryError
        When it exists and cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused("cannot be read", where=path, found=str(error.strerror)) from error


def refused(
    what: str, *, where: object = "", found: str = "", expected: str = "", fix: str = ""
) -> RegistryError:
    """Tell what is wrong as one paragraph.

    Examples
    --------
    >>> print(refused("no such version", where="a/KRW-SOL", found="v0009", fix="list them"))
    no such version (a/KRW-SOL). Found: v0009. To do: list them.
    """
    told = [("Found", found), ("expected" if found else "Expected", expected)]
    clause = "; ".join(f"{word}: {text}" for word, text in told if text)
    parts = [f"{what} ({where})" if where else what, clause, f"To do: {fix}" if fix else ""]
    ended = (part if part[-1] in ".?!" else f"{part}." for part in parts if part)
    return RegistryError(" ".join(ended))


def _write_all(descriptor: int, content: bytes) -> None:
    written = os.write(descriptor, content)
    while written < len(content):
        written += os.write(descriptor, content[written:])


def _wait_for_lock(descriptor: int, folder: Path) -> None:
    end = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                break
            time.sleep(_LOCK_POLL_SECONDS)
    raise refused(
        f"another process has been writing here for more than {LOCK_WAIT_SECONDS:g} s",
        where=folder,
        fix="find out whether it hangs, end it, and try again; the lock is freed with it",
    )


def _is_still(descriptor: int, path: Path) -> bool:
    """Whether the locked file is the one of that name; the folder may have been replaced."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        read = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(read, dict):
        return None
    check = read.pop("check", None)
    return read if check is None or check == _check(json.dumps(read)) else None


def _check(line: str) -> str:
    return sha256(line.encode())[:_CHECK_LETTERS]


def _is_moment(text: object) -> bool:
    try:
        return isinstance(text, str) and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
