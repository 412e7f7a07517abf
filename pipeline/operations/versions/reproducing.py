"""Rebuild a registered version beside everything else, and hold every byte against it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.config import Node
from pipeline.configuration.choices import KeptFrom
from pipeline.configuration.compose import compose_run
from pipeline.configuration.planning import plan_run
from pipeline.errors import ConfigError
from pipeline.models.bundle import FILE
from pipeline.models.kept_head import KeptHead
from pipeline.operations.places import Places
from pipeline.operations.retraining.build_run import reproduce
from pipeline.operations.retraining.candidate import CARD, collect
from pipeline.operations.retraining.keeping import lay_out
from pipeline.operations.target import Target, resolve
from pipeline.operations.versions.processor import CPU, cpu_family
from pipeline.operations.workspace import prepare
from registry.manifest import REGISTERED, VerifiedBundle
from registry.slots import Slot
from registry.versions import Registry

FOLDER = Path("build/reproduce")
STORE = Path("data/store")
LOCAL = "exchange."
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """Which version, and words that say where its candles lie on this machine."""

    slot: Slot
    version: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reproduced:
    """What came out: files that differ by name, and what differs in how they were made.

    `causes` maps lock, code, data, config, device and cpu (its family) to what is told of each.
    """

    slot: Slot
    version: str
    files: int
    bytes: int
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    causes: Mapping[str, str]

    @property
    def identical(self) -> bool:
        """Whether every file has the bytes that were registered."""
        return not (self.changed or self.missing or self.extra)


def reproduce_version(
    asked: Asked, places: Places, now: pd.Timestamp, progress: Callable[[str], None]
) -> Reproduced:
    """Build a version again from the words it was registered with, on candles of the store.

    It is built in a home of its own that holds nothing but a link to the store, and is removed
    afterwards: nothing is registered, counted as a trial or restored from a cache.

    Raises
    ------
    ConfigError
        When the version does not tell its words, or they name another slot by now.
    RegistryError
        When there is no such version, or its files do not verify.
    VintageError
        When a stage fails.
    """
    verified = places.registry.open(asked.slot, asked.version)
    note = _note(places.registry, asked.slot, verified.version)
    with _scratch(places.home) as home:
        target = _target(asked, note, places.checkout / "conf", home, now)
        kept = _kept(verified)
        target = _keeping(target, verified, kept, places.checkout / "conf")
        workspace = prepare(home, places.checkout, asked.slot, target.choices)
        lay_out(workspace, kept)
        reproduce(workspace, home, progress)
        built = collect(workspace, asked.slot, target.plan.run).files
    return compared(asked.slot, verified, built, str(note.get(CPU, "")))


def compared(
    slot: Slot, verified: VerifiedBundle, built: Mapping[str, bytes], cpu: str = ""
) -> Reproduced:
    """Hold rebuilt files against those of a version; `cpu` is the family it was made on."""
    before = verified.contents
    same = before.keys() & built.keys()
    return Reproduced(
        slot=slot,
        version=verified.version,
        files=len(before),
        bytes=sum(map(len, before.values())),
        changed=tuple(sorted(name for name in same if before[name] != built[name])),
        missing=tuple(sorted(before.keys() - built.keys())),
        extra=tuple(sorted(built.keys() - before.keys())),
        causes=dict(_causes(verified.card(), json.loads(built[CARD]), cpu)),
    )


def _note(registry: Registry, slot: Slot, version: str) -> Node:
    first = next(iter(registry.events(slot, version)), {})
    note = first.get("note") if first.get("event") == REGISTERED else None
    if not isinstance(note, dict) or not isinstance(note.get("words"), str):
        raise ConfigError(
            "the version does not tell what it was made from",
            where=f"{slot} {version}",
            fix="only what vintage retrain registered can be made again",
        )
    return note


@contextlib.contextmanager
def _scratch(home: Path) -> Iterator[Path]:
    folder = home / FOLDER / secrets.token_hex(4)
    (folder / STORE.parent).mkdir(parents=True)
    try:
        (home / STORE).mkdir(parents=True, exist_ok=True)
        (folder / STORE).symlink_to(home / STORE)
        yield folder
    finally:
        shutil.rmtree(folder)


def _target(asked: Asked, note: Node, conf: Path, home: Path, now: pd.Timestamp) -> Target:
    if others := [word for word in asked.words if not word.startswith(LOCAL)]:
        raise ConfigError(
            "a version is made again as it was",
            found=others[0],
            expected="words that say where its candles lie, such as exchange.root=FOLDER",
        )
    target = resolve([*shlex.split(note["words"]), *asked.words], conf, home, now)
    if target.slot != asked.slot:
        raise ConfigError(
            "the words of the version name another slot by now",
            where=f"{asked.slot} {asked.version}",
            found=str(target.slot),
            fix="bring back the conf/ that it was made with",
        )
    return target


def _kept(verified: VerifiedBundle) -> dict[str, KeptHead]:
    return {name: KeptHead.of(verified.contents, name) for name in _origins(verified)}


def _origins(verified: VerifiedBundle) -> dict[str, KeptFrom]:
    told = json.loads(verified.read(FILE))["heads"]
    return {name: KeptFrom(**head["kept"]) for name, head in told.items() if head.get("kept")}


def _keeping(
    target: Target, verified: VerifiedBundle, kept: Mapping[str, KeptHead], conf: Path
) -> Target:
    if not kept:
        return target
    choices = target.choices.model_copy(update={"skip": _origins(verified)})
    return dataclasses.replace(target, choices=choices, plan=plan_run(compose_run(choices, conf)))


def _causes(before: Node, after: Node, cpu: str) -> Iterator[tuple[str, str]]:
    """What is recorded of the two and differs; the device is a key of the configuration."""
    if moved := _changes(before.get("libraries", {}), after["libraries"]):
        yield "lock", moved
    stages = [
        name for name in after["code"] if before.get("code", {}).get(name) != after["code"][name]
    ]
    if stages:
        yield "code", f"of {', '.join(stages)}"
    if moved := _changes(before.get("data", {}), after["data"]):
        yield "data", moved
    told = dict(_flat(before.get("config", {}))), dict(_flat(after["config"]))
    if moved := _changes(*told):
        yield "config", moved
    device = before.get("config", {}).get("train", {}).get("device")
    if device != "cpu":
        yield "device", f"{device}: the same bytes are promised for cpu alone"
    if (here := cpu_family()) != cpu:
        yield "cpu", f"{cpu or 'not recorded'} → {here}"


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    told = [f"{name} {_short(before.get(name))} → {_short(after.get(name))}" for name in names]
    more = [f"{len(told) - SHOWN} more"] if len(told) > SHOWN else []
    return ", ".join([*told[:SHOWN], *more])


def _short(value: object) -> str:
    return "none" if value is None else str(value)[:25]


def _flat(node: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{where}{key}.")
        else:
            yield f"{where}{key}", value
