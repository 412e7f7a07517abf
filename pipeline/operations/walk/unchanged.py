"""Knowing that a slot is as its last retrain left it, without asking DVC again.

What a build depends on, what it made, the slot in the registry and its candles in the store are
compared by path, size, time of the last change and inode, as DVC itself does before it hashes.
Whatever differs, an innocent difference too, means that DVC is asked.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.config import to_yaml
from pipeline.experiments.audit.results import files_of
from pipeline.operations.places import Places
from pipeline.operations.target import Target
from pipeline.operations.walk.slot_result import SlotResult
from pipeline.operations.workspace import FOLDER, LINKED
from registry.files import sha256, write_atomic

PASSING = {"__pycache__", ".dvc", ".lock"}  # what changes without meaning anything


def inputs(target: Target, places: Places) -> str:
    """Digest of what a slot is built and judged from: choices, conf, code, interpreter, audits."""
    choices = to_yaml(target.choices.model_dump())
    audits = files_of(target.slot.recipe, places.home, places.checkout)
    looked = [*(places.checkout / name for name in LINKED), *audits]
    seen = [line for place in looked for line in _seen(place)]
    return sha256("\n".join([sys.version, sys.prefix, choices, *seen]).encode())


def remember(target: Target, places: Places, before: str, result: SlotResult) -> None:
    """Note what a retrain left.

    Parameters
    ----------
    before
        `inputs` as they were when it began: what changed since then is not in what it made.
    """
    told = {"inputs": before, "made": _made(target, places), "result": dataclasses.asdict(result)}
    write_atomic(_file(target, places), json.dumps(told).encode())


def still(target: Target, places: Places) -> SlotResult | None:
    """The last result, where a retrain would come to it again; None where it may not."""
    try:
        told = json.loads(_file(target, places).read_bytes())
        found = SlotResult(**{**told["result"], "stages": (), "state": "unchanged"})
        if told["inputs"] != inputs(target, places) or told["made"] != _made(target, places):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dataclasses.replace(found, seconds=0.0, cpu_seconds=0.0, peak_mb=0, exit_code=0)


def _file(target: Target, places: Places) -> Path:
    return places.home / FOLDER / f"{target.slot}.done.json"


def _made(target: Target, places: Places) -> str:
    return sha256(
        "\n".join(line for place in _places(target, places) for line in _seen(place)).encode()
    )


def _places(target: Target, places: Places) -> Iterator[Path]:
    yield places.home / FOLDER / str(target.slot)
    yield target.slot.folder(places.registry.root)
    for market in target.market.members:
        yield target.store.folder(target.series_of(market))
    if reference := target.plan.stages["download"]["reference"]:
        yield target.store.root / reference


def _seen(place: Path) -> Iterable[str]:
    """A line for each file at or below a place, in their order; links are not followed."""
    try:
        stat = place.stat(follow_symlinks=False)
    except FileNotFoundError:
        return [f"{place} is not there"]
    if not place.is_dir() or place.is_symlink():
        return [f"{place} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"]
    return list(_below(place))


def _below(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name in PASSING or entry.name.endswith(".pyc"):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path))
        else:
            stat = entry.stat(follow_symlinks=False)
            yield f"{entry.path} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
