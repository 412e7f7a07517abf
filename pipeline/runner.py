"""Run one stage: read what it was told, build what that names, call it, log it."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import log
from pipeline.build import build
from pipeline.config import Node, Record, read_yaml
from pipeline.cores import cpu_seconds, peak_mb
from pipeline.errors import ConfigError, DataError, nearest
from registry.files import write_atomic

TOLD = Path("build/config")
LOCAL = TOLD / "local.yaml"
TIMING = Path("build/timing")
FAILURE = Path("build/failure.json")
WORKERS_PEAK = "workers_peak_mb"  # a stage's fact: the sum of the peaks of its workers
STAGES = ("download", "validate", "features", "labels", "train", "evaluate")


@dataclass(frozen=True, slots=True)
class Context:
    """What a stage needs beside its own configuration.

    `libraries` are the versions it was told; `local` says where and how to run, and changes
    no bytes.
    """

    plugins: tuple[str, ...] = ()
    local: Node = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    now: pd.Timestamp | None = None

    def build(self, node: Node, where: str) -> Any:
        """Build the object a mapping describes, with its run-only fields filled in."""
        return build({**node, **self.local.get(where, {})}, where, self.plugins)


class Told(Record):
    """One file of ``build/config/``."""

    code: str
    libraries: dict[str, str]
    plugins: tuple[str, ...]
    config: Node


@dataclass(frozen=True, slots=True)
class Timing:
    """What a stage cost, its workers included.

    The peak is that of its whole process and those of its workers, added up.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: int


Facts = dict[str, Any]
Stage = Callable[[Record, Context], Facts]


def run_stage(name: str, now: pd.Timestamp | None = None) -> Facts:
    """Run a stage in the current folder and return the facts it tells about itself.

    Parameters
    ----------
    now
        Dates what the candle store learns on the way; nothing that a stage writes depends on it.

    Raises
    ------
    ConfigError
        When there is no such stage, or it has not been told anything.
    """
    if name not in STAGES:
        raise ConfigError(f"unknown stage '{name}'", fix=nearest(name, STAGES))
    module = importlib.import_module(f"pipeline.stages.{name}")
    path = TOLD / f"{name}.yaml"
    told = Told.parse(read_yaml(path), str(path))
    context = Context(told.plugins, read_yaml(LOCAL), told.libraries, now)
    config = module.Config.parse(told.config, str(path))
    started, worked = time.perf_counter(), cpu_seconds()
    facts: Facts = module.run(config, context)
    timing = Timing(
        seconds=round(time.perf_counter() - started, 3),
        cpu_seconds=round(cpu_seconds() - worked, 3),
        peak_mb=peak_mb() + int(facts.get(WORKERS_PEAK, 0)),
    )
    write_atomic(TIMING / f"{name}.json", to_json(asdict(timing)))
    log.event("stage", stage=name, **asdict(timing), **facts)
    return facts


def read_timing(name: str, folder: Path = Path()) -> Timing | None:
    """What the stage cost when it last ran in `folder`; nothing where it never did."""
    path = folder / TIMING / f"{name}.json"
    return Timing(**json.loads(path.read_text())) if path.is_file() else None


def to_json(facts: Facts) -> bytes:
    r"""Write facts as JSON, in the order they are given.

    Examples
    --------
    >>> to_json({"b": 1, "a": [2.5]})
    b'{\n "b": 1,\n "a": [\n  2.5\n ]\n}\n'
    """
    try:
        return json.dumps(facts, indent=1, allow_nan=False).encode() + b"\n"
    except ValueError as error:
        raise DataError(
            "a figure that was to be written is not finite",
            found=str(error),
            fix="correct the model's report() or its data",
        ) from None
