"""Several named files as one, the same bytes for the same content."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file can name
LEVEL = 1


def wrap(files: Mapping[str, bytes]) -> bytes:
    """Put files into one.

    Examples
    --------
    >>> unwrap(wrap({"b": b"2", "a": b"1"}))
    {'a': b'1', 'b': b'2'}
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), files[name], zipfile.ZIP_DEFLATED, LEVEL)
    return buffer.getvalue()


def unwrap(content: bytes, names: Iterable[str] | None = None) -> dict[str, bytes]:
    """Take files out of what `wrap` made; all of them where none is named.

    Raises
    ------
    BadZipFile
        When the bytes are none of that.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in names or archive.namelist()}


@dataclass(frozen=True, slots=True)
class Parcel(Mapping[str, bytes]):
    """Files on the disk that `wrap` made one of; each is read when it is asked for."""

    file: Path

    def __getitem__(self, name: str) -> bytes:
        """Read one of them."""
        with zipfile.ZipFile(self.file) as archive:
            return archive.read(name)

    def __iter__(self) -> Iterator[str]:
        """Their names, sorted."""
        with zipfile.ZipFile(self.file) as archive:
            return iter(archive.namelist())

    def __len__(self) -> int:
        """How many there are."""
        return len(list(iter(self)))


def as_bytes(array: npt.NDArray[np.generic]) -> bytes:
    """An array as the bytes of a ``.npy`` file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def as_array(content: bytes) -> npt.NDArray[Any]:
    """The array that `as_bytes` wrote."""
    found: npt.NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    return found
