"""What is left behind under a home folder: workspaces, experiments, temporary files, old pages."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from pipeline.experiments.audit.results import FOLDER as AUDITS
from pipeline.experiments.simulate.folders import SIMULATIONS
from pipeline.log import FILE as LOG
from pipeline.operations.retention.cache_needs import LOCK
from pipeline.operations.retraining.build_run import running_dvc
from pipeline.operations.versions.reproducing import FOLDER as REPRODUCED
from pipeline.operations.workspace import FOLDER
from registry.archive import BUILT
from registry.errors import RegistryError
from registry.publishing import COLLECTED, TEMPORARY
from registry.slots import Slot
from registry.versions import Registry

EXPERIMENTS = Path(".dvc/tmp/exps")
REPORTS, LOGS = Path("reports"), Path("logs")
WRITTEN = ("data", "models", "build", "logs", "reports", "conf")
REMOVED = ".removed-"
FOLDERS = (TEMPORARY, COLLECTED, BUILT, REMOVED)
TOUCHED = (LOCK, "params.yaml", ".dvc/tmp/lock", ".dvc/tmp/rwlock")


def workspaces(home: Path) -> dict[Slot, Path]:
    """Folder of every slot that was built here."""
    found = {}
    for path in sorted((home / FOLDER).glob("*/*")):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            try:
                found[Slot.parse(f"{path.parent.name}/{path.name}")] = path
            except RegistryError:
                continue
    return found


def abandoned(
    home: Path, registry: Registry, now: pd.Timestamp, days: tuple[float, float]
) -> Iterator[tuple[Slot, Path]]:
    """Workspaces not built in for so many days: of slots with versions, and without."""
    for slot, path in workspaces(home).items():
        most = days[0] if registry.versions(slot) else days[1]
        marks = [path / name for name in TOUCHED if (path / name).exists()]
        if all(age(mark, now) > pd.Timedelta(days=most) for mark in marks or [path]):
            yield slot, path


def experiments(home: Path) -> list[Path]:
    """Folders that experiments are run in, beside the home."""
    root = home / EXPERIMENTS
    found = sorted([*root.glob("standalone/*"), *root.glob("tmp*")])
    return [path for path in found if path.is_dir() and not path.is_symlink()]


def broken_off(home: Path, now: pd.Timestamp, days: float) -> Iterator[Path]:
    """Folders of experiments in which no DVC runs any more."""
    for path in experiments(home):
        if age(path, now) > pd.Timedelta(days=days) and running_dvc(path) is None:
            yield path


def unused_simulations(home: Path, now: pd.Timestamp, days: float) -> Iterator[Path]:
    """What simulations keep of their retrains and that none has read or written for so long.

    A simulation touches its folder's description before it reads anything.
    """
    for path in sorted((home / SIMULATIONS).glob("*")):
        marks = [path, *path.glob("*")]
        if path.is_dir() and min(age(mark, now) for mark in marks) > pd.Timedelta(days=days):
            yield path


def temporaries(home: Path, now: pd.Timestamp, hours: float) -> Iterator[Path]:
    """Files and folders that killed processes left."""
    most = pd.Timedelta(hours=hours)
    roots = [home / name for name in WRITTEN]
    found = [path for root in roots for path in _temporary(root)]
    found += (home / REPRODUCED).glob("*")
    return (path for path in sorted(found) if age(path, now) > most)


def old_pages(home: Path, now: pd.Timestamp, days: float) -> Iterator[Path]:
    """Pages in reports/ that no stage of the home's own dvc.lock wrote; audits stay."""
    lock = home / LOCK
    told = lock.read_text() if lock.is_file() else ""
    for path in _files(home / REPORTS):
        named = f"path: {path.relative_to(home).as_posix()}\n"
        audit = path.parent == home / AUDITS
        if not audit and named not in told and age(path, now) > pd.Timedelta(days=days):
            yield path


def old_logs(home: Path, now: pd.Timestamp, days: float) -> Iterator[Path]:
    """Logs that nothing was written to for so many days."""
    logs = [path for path in _files(home / LOGS) if path.suffix in {".log", ".jsonl"}]
    return (p for p in logs if p.name != LOG and age(p, now) > pd.Timedelta(days=days))


def long_log(home: Path, megabytes: float) -> Path | None:
    """The log that is written to now, where it is too long."""
    path = home / LOGS / LOG
    return path if path.is_file() and path.stat().st_size > megabytes * 2**20 else None


def age(path: Path, now: pd.Timestamp) -> pd.Timedelta:
    """Time since a file or folder was written; none for what is gone meanwhile."""
    try:
        written = path.lstat().st_mtime
    except OSError:
        return pd.Timedelta(0)
    return now - pd.Timestamp(written, unit="s", tz="UTC")


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder, without following links."""
    if path.is_dir() and not path.is_symlink():
        return sum(each.lstat().st_size for each in _files(path))
    return path.lstat().st_size


def _temporary(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        for name in [name for name in folders if name.startswith(FOLDERS)]:
            folders.remove(name)
            yield here / name
        yield from (here / name for name in files if _is_temporary(name))


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith((".tmp", ".link"))


def _files(root: Path) -> Iterable[Path]:
    for folder, _, files in os.walk(root):
        yield from (Path(folder) / name for name in sorted(files))
