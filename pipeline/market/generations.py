"""Replacing several files of a series as one step that a crash cannot halve.

New files are laid out in ``.fresh`` with the old ones beside them, and the folder is renamed to
``.ready``: from then on the next writer finishes what was begun; before, it throws it away. The old
files stay in ``.generation-<moment>`` until the next replacement is complete.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from registry.files import sync_folder, write_new

FRESH, READY, OLD = ".fresh", ".ready", ".generation-"
PLAN = "plan.json"
MONTH = ".parquet"


def replace(
    folder: Path, files: Mapping[str, bytes], gone: Iterable[str], at: pd.Timestamp
) -> None:
    """Put files into a locked folder and take others out, all of them or none.

    Parameters
    ----------
    gone
        Names of files to take out.
    at
        Names the generation that is kept.
    """
    stage(folder, files, gone, at)
    commit(folder)
    recover(folder)


def stage(folder: Path, files: Mapping[str, bytes], gone: Iterable[str], at: pd.Timestamp) -> None:
    """Lay out a replacement; nothing of the series changes yet."""
    fresh = folder / FRESH
    shutil.rmtree(fresh, ignore_errors=True)
    kept = fresh / f"{OLD}{at:%Y%m%dT%H%M%SZ}"
    kept.mkdir(parents=True)
    gone = sorted(name for name in gone if (folder / name).exists())
    for name in (*sorted(files), *gone):
        if (folder / name).exists():
            _keep(folder / name, kept / name)
    for name, content in files.items():
        write_new(fresh / name, content)
    replaced = any(kept.iterdir())
    plan = {"put": sorted(files), "gone": gone, "kept": kept.name if replaced else None}
    write_new(fresh / PLAN, json.dumps(plan).encode())
    for place in (kept, fresh):
        sync_folder(place)


def commit(folder: Path) -> None:
    """Decide that a staged replacement will happen, whatever comes."""
    (folder / FRESH).rename(folder / READY)
    sync_folder(folder)


def recover(folder: Path) -> None:
    """Finish what a writer decided, throw away what none did; for the holder of the lock."""
    for left in folder.glob(".*.tmp"):
        left.unlink()
    shutil.rmtree(folder / FRESH, ignore_errors=True)
    ready = folder / READY
    if not ready.is_dir():
        return
    if (ready / PLAN).exists():
        _finish(folder, ready)
    shutil.rmtree(ready)
    sync_folder(folder)


def generations(folder: Path) -> list[Path]:
    """Folders of replaced files, the oldest first."""
    return sorted(folder.glob(f"{OLD}*"))


def forget(folder: Path) -> None:
    """Delete every generation and every replacement of a locked folder."""
    for place in (*generations(folder), folder / FRESH, folder / READY):
        shutil.rmtree(place, ignore_errors=True)


def _finish(folder: Path, ready: Path) -> None:
    plan = json.loads((ready / PLAN).read_bytes())
    kept = plan["kept"]
    if kept and (ready / kept).exists():
        shutil.rmtree(folder / kept, ignore_errors=True)
        (ready / kept).rename(folder / kept)
    for name in plan["put"]:
        if (ready / name).exists():
            (ready / name).replace(folder / name)
    for name in plan["gone"]:
        (folder / name).unlink(missing_ok=True)
    sync_folder(folder)
    for older in generations(folder):
        if kept and older.name != kept:
            shutil.rmtree(older)
    (ready / PLAN).unlink()


def _keep(path: Path, place: Path) -> None:
    """Months are never changed in place, so a second name for their bytes is a copy."""
    if path.suffix == MONTH:
        try:
            os.link(path, place)
        except OSError:
            write_new(place, path.read_bytes())
    else:
        write_new(place, path.read_bytes())
