"""``vintage clean``: delete what a home folder gathers and nothing needs any more."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import pandas as pd
from filelock import FileLock, Timeout
from pydantic import Field

from pipeline import log
from pipeline.config import Record
from pipeline.configuration.choices import merge
from pipeline.configuration.conf_groups import parse_words, read_option
from pipeline.errors import ConfigError, RetryLater
from pipeline.operations.retention import cache_needs, leftovers
from pipeline.operations.retention.leftovers import REMOVED, age, size
from pipeline.operations.retraining.build_run import running_dvc
from pipeline.operations.workspace import FOLDER, lock_path
from registry.errors import RegistryError
from registry.files import locked
from registry.publishing import sweep
from registry.versions import Registry

CACHE = Path(".dvc/cache")
GROUP, DEFAULT = "retention", "default"
Age = Annotated[float, Field(ge=0, le=36_500)]


class Retention(Record):
    """How long what nobody needs is kept; ``conf/retention/`` tells each key."""

    name: str
    cache_days: Age
    workspace_days: Age
    unregistered_days: Age
    experiment_days: Age
    simulation_days: Age
    temporary_hours: Annotated[float, Field(ge=1, le=36_500)]
    report_days: Age
    log_megabytes: Annotated[float, Field(gt=0, le=100_000)]
    log_days: Age


@dataclass(frozen=True, slots=True)
class Cleared:
    """One kind: how many files or folders, their bytes, and what was left because of what."""

    kind: str
    count: int
    bytes: int
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cleaning:
    """One clean of a home folder at one moment; `dry` deletes nothing."""

    home: Path
    retention: Retention
    now: pd.Timestamp
    dry: bool = True

    @property
    def registry(self) -> Registry:
        """The registry of the home."""
        return Registry(self.home / "models" / "registry")


def retention_of(words: Iterable[str], conf: Path) -> Retention:
    """What ``retention=NAME`` and ``retention.KEY=value`` choose.

    Raises
    ------
    ConfigError
        When a word names nothing of ``conf/retention/``.
    """
    chosen, name = parse_words(words), DEFAULT
    name = str(chosen.pop(GROUP, DEFAULT))
    if strange := [key for key in chosen if not key.startswith(f"{GROUP}.")]:
        raise ConfigError(
            f"unknown key '{strange[0]}'", fix=f"{GROUP}=NAME, or {GROUP}.cache_days=7"
        )
    own = {key.removeprefix(f"{GROUP}."): value for key, value in chosen.items()}
    return Retention.parse(merge(read_option(conf, GROUP, name), own), f"{GROUP}={name}")


def clean(told: Cleaning) -> list[Cleared]:
    """Delete each kind of left-over, the DVC cache last; what is in use is left and told.

    Raises
    ------
    OSError
        When the disk refuses; repeating goes on from there.
    """
    spaces, gone = _workspaces(told)
    keep = told.retention
    done = [
        spaces,
        _delete(
            told, "experiments", leftovers.broken_off(told.home, told.now, keep.experiment_days)
        ),
        _delete(
            told,
            "simulations",
            leftovers.unused_simulations(told.home, told.now, keep.simulation_days),
        ),
        _temporaries(told),
        _delete(told, "reports", leftovers.old_pages(told.home, told.now, keep.report_days)),
        _logs(told),
        _cache(told, gone),
    ]
    if not told.dry:
        freed = {each.kind: each.bytes for each in done if each.count}
        log.event("cleaned", log.INFO, retention=keep.name, **freed)
    return done


def _workspaces(told: Cleaning) -> tuple[Cleared, set[Path]]:
    keep, left, gone, freed = told.retention, [], set(), 0
    days = (keep.workspace_days, keep.unregistered_days)
    for slot, path in list(leftovers.abandoned(told.home, told.registry, told.now, days)):
        with _slots_locked(told, [lock_path(told.home, slot)]) as busy:
            if busy or running_dvc(path) is not None:
                left.append(f"{slot} is being built")
                continue
            gone.add(path)
            freed += size(path)
            if not told.dry:
                hidden = path.with_name(f"{REMOVED}{secrets.token_hex(4)}")
                path.rename(hidden)
                shutil.rmtree(hidden)
    return Cleared("workspaces", len(gone), freed, tuple(left)), gone


def _temporaries(told: Cleaning) -> Cleared:
    found = list(leftovers.temporaries(told.home, told.now, told.retention.temporary_hours))
    freed = sum(map(size, found))
    if not told.dry:
        for place in {path.parent for path in found if path.parent in _places(told.registry)}:
            with locked(place):
                sweep(place)
        _remove(found)
    return Cleared("temporary", len(found), freed)


def _places(registry: Registry) -> set[Path]:
    return {slot.folder(registry.root) for slot in registry.slots()}


def _logs(told: Cleaning) -> Cleared:
    found = list(leftovers.old_logs(told.home, told.now, told.retention.log_days))
    done = _delete(told, "logs", found)
    if full := leftovers.long_log(told.home, told.retention.log_megabytes):
        aside = full.with_name(f"{full.stem}-{told.now:%Y%m%dT%H%M%SZ}{full.suffix}")
        why = f"{full.name} is {size(full) / 2**20:.0f} MiB; it goes on as {aside.name}"
        if not told.dry:
            full.rename(aside)
        return replace(done, left=(why,))
    return done


def _cache(told: Cleaning, gone: set[Path]) -> Cleared:
    """Everything is left while anything is built: an object may be needed before a lock says so."""
    if (told.home / CACHE).is_symlink():
        return Cleared("cache", 0, 0, ("it is a link, and others may need what lies there",))
    locks = sorted((told.home / FOLDER).glob("*/*.lock"))
    with _slots_locked(told, locks) as held:
        if busy := held or _running(told.home):
            return Cleared("cache", 0, 0, (f"{busy} is being built; repeat later",))
        try:
            found = _waste(told, gone)
        except (RetryLater, RegistryError) as error:
            return Cleared("cache", 0, 0, (str(error),))
        runs = list(cache_needs.runs_of(told.home, set(found)))
        if not told.dry:
            _forget(runs)
        return _delete(told, "cache", found.values())


def _running(home: Path) -> str:
    """Folder that DVC works in, if any."""
    folders = [home, *leftovers.workspaces(home).values(), *leftovers.experiments(home)]
    return next((str(each) for each in folders if running_dvc(each) is not None), "")


def _forget(runs: Iterable[Path]) -> None:
    """Drop entries of the run cache; DVC would stumble over the empty folder of a key."""
    for path in runs:
        path.unlink()
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _waste(told: Cleaning, gone: set[Path]) -> dict[str, Path]:
    """Old objects that neither a lock nor a version in service needs, by name."""
    known, least = cache_needs.objects(told.home), pd.Timedelta(days=told.retention.cache_days)
    spaces = [path for path in leftovers.workspaces(told.home).values() if path not in gone]
    locks = [folder / cache_needs.LOCK for folder in (told.home, *spaces)]
    named = cache_needs.named_by([path for path in locks if path.exists()], told.home)
    needed = cache_needs.with_members(named, known)
    spare = {
        name: path
        for name, path in known.items()
        if name not in needed and age(path, told.now) > least
    }
    if spare:
        digests = cache_needs.of_versions(told.registry, told.now.isoformat())
        served = cache_needs.serving(spare, digests)
        spare = {name: path for name, path in spare.items() if name not in served}
    return spare


def _delete(told: Cleaning, kind: str, found: Iterable[Path]) -> Cleared:
    paths = list(found)
    freed = sum(map(size, paths))
    if not told.dry:
        _remove(paths)
    return Cleared(kind, len(paths), freed)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _slots_locked(told: Cleaning, locks: Iterable[Path]) -> Iterator[str]:
    """Hold the locks of slots, a dry run only looks at them; the one that another holds."""
    with contextlib.ExitStack() as held:
        for path in locks:
            if told.dry and _is_held(path):
                yield _slot_of(path)
                return
            if not told.dry:
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    held.enter_context(FileLock(path).acquire(timeout=0))
                except Timeout:
                    yield _slot_of(path)
                    return
        yield ""


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _slot_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"
