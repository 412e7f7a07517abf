"""The whole store in one file, and back; every byte is verified before anything is replaced."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import ConfigError, DataError
from pipeline.market import generations
from pipeline.market.partitions import decode
from pipeline.market.revisions import compare
from pipeline.market.store import CandleStore, Series
from pipeline.market.writing import SIDECARS, contents, locked
from registry.files import sha256, sync_folder

MANIFEST = "manifest.json"
FORMAT = 1
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes
MONTH = re.compile(r"\d{4}-\d{2}\.parquet")
FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Restored:
    """One series of a backup, and whether the store had to be changed for it.

    Parameters
    ----------
    damaged
        Why it was left as it is in the store: a month of it was damaged when it was kept.
    """

    series: Series
    files: int
    changed: bool
    damaged: str = ""


def backup(store: CandleStore, path: Path, overwrite: bool = False) -> int:
    """Write everything stored to one file and count the series.

    Raises
    ------
    ConfigError
        When the file is there already.
    DataError
        When nothing is stored, or a month is damaged: it could never be restored.
    """
    if path.exists() and not overwrite:
        raise ConfigError("the file is there already", where=str(path), fix="--force replaces it")
    every = store.series()
    if not every:
        raise DataError("nothing is stored", where=str(store.root), fix="vintage data sync")
    digests: dict[str, str] = {}
    with _written(path) as archive:
        for series in every:
            folder = store.folder(series)
            with locked(folder):
                for file in contents(folder):
                    name, content = f"{series}/{file.name}", _sound(file)
                    digests[name] = sha256(content)
                    archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
        told = json.dumps({"format": FORMAT, "files": digests}, indent=1, sort_keys=True)
        archive.writestr(zipfile.ZipInfo(MANIFEST, EPOCH), told)
    return len(every)


def restore(
    store: CandleStore, path: Path, at: pd.Timestamp, force: bool = False
) -> list[Restored]:
    """Put back every series of a backup; series that it lacks stay as they are.

    What is replaced is kept as one generation. Run again after a crash, it ends as if there had
    been none. A series with a month that was damaged when it was kept is left out, and said to be.

    Raises
    ------
    DataError
        When the file is damaged or no backup; and, without `force`, when the store holds a
        candle that the backup lacks or has with other values. Nothing is replaced then.
    """
    with _opened(path) as archive:
        names = _verified(archive, path)
        damaged = {
            series: _damage(_read(archive, series, files), f"{path}: {series}")
            for series, files in names.items()
        }
        for series, files in names.items():
            if not (force or damaged[series]):
                _refuse_loss(store, series, _read(archive, series, files))
        return [
            Restored(series, len(files), changed=False, damaged=damaged[series])
            if damaged[series]
            else _put(store, series, _read(archive, series, files), at)
            for series, files in names.items()
        ]


def _sound(file: Path) -> bytes:
    content = file.read_bytes()
    if MONTH.fullmatch(file.name):
        decode(content, file)
    return content


def _damage(files: Mapping[str, bytes], where: str) -> str:
    """Name the first month that cannot be read, and why."""
    for name, content in sorted(files.items()):
        if MONTH.fullmatch(name):
            try:
                decode(content, Path(name))
            except DataError as error:
                return f"{where}/{name}: {error.found}"
    return ""


def _put(
    store: CandleStore, series: Series, files: Mapping[str, bytes], at: pd.Timestamp
) -> Restored:
    folder = store.folder(series)
    with locked(folder):
        held = {file.name: file.read_bytes() for file in contents(folder)}
        if held != files:
            generations.replace(folder, files, held.keys() - files.keys(), at)
    return Restored(series, len(files), held != files)


def _refuse_loss(store: CandleStore, series: Series, files: Mapping[str, bytes]) -> None:
    where = store.folder(series)
    months = [decode(files[name], where / name) for name in sorted(files) if MONTH.fullmatch(name)]
    if not months or store.span(series) is None:
        return
    kept, stored = pd.concat(months), store.read(series)
    lost = stored.index
    if list(stored.columns) == list(kept.columns):
        compared = compare(kept, stored)
        lost = compared.fresh.index.union(compared.old.index)
    if len(lost):
        raise DataError(
            f"the store holds {len(lost)} candles that the backup lacks or has with other values",
            where=str(series),
            found=f"the newest at {lost[-1].isoformat()}",
            expected=f"none after {kept.index[-1].isoformat()}",
            fix="--force restores all the same; what it replaces is kept until the next time",
        )


def _verified(archive: zipfile.ZipFile, path: Path) -> dict[Series, list[str]]:
    """Files by series, after every byte was compared with its sha256."""
    told = _manifest(archive, path)
    there = set(archive.namelist()) - {MANIFEST}
    if there != set(told):
        odd = sorted(there ^ set(told))[0]
        raise _damaged(path, f"{odd} is missing, or is not in its list")
    found: dict[Series, list[str]] = {}
    for name, digest in sorted(told.items()):
        *folders, file = name.split("/")
        plain = all(FOLDER.fullmatch(folder) for folder in folders)
        if not plain or not (MONTH.fullmatch(file) or file in SIDECARS):
            raise _damaged(path, f"{name} is no file of a store")
        if sha256(_content(archive, name, path)) != digest:
            raise _damaged(path, f"{name} has other bytes than were written")
        found.setdefault(Series.parse("/".join(folders)), []).append(file)
    return found


def _manifest(archive: zipfile.ZipFile, path: Path) -> dict[str, str]:
    try:
        told: Any = json.loads(_content(archive, MANIFEST, path))
        if told["format"] != FORMAT:
            raise _damaged(path, f"its format is {told['format']}, not {FORMAT}")
        return {str(name): str(digest) for name, digest in told["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(path, "it has no list of its files") from None


def _content(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    try:
        return archive.read(name)
    except (KeyError, zipfile.BadZipFile, OSError) as error:
        raise _damaged(path, f"{name}: {error}") from None


def _read(archive: zipfile.ZipFile, series: Series, files: list[str]) -> dict[str, bytes]:
    return {name: archive.read(f"{series}/{name}") for name in files}


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise _damaged(path, str(error)) from None
    with archive:
        yield archive


@contextmanager
def _written(path: Path) -> Iterator[zipfile.ZipFile]:
    """A new archive that appears under its name only when it is whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                yield archive
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.absolute().parent)


def _damaged(path: Path, found: str) -> DataError:
    return DataError(
        "is no sound backup of a candle store",
        where=str(path),
        found=found,
        fix="use another backup; nothing was replaced",
    )
