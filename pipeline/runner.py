"""Run one stage: read what it was told, build what that names, call it, log it."""

from __future__ import annotations

import importlib
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import log
from pipeline.build import build
from pipeline.config import Node, Record, read_yaml
from pipeline.errors import ConfigError, nearest

TOLD = Path("build/config")
LOCAL = TOLD / "local.yaml"
FAILURE = Path("build/failure.json")
STAGES = ("download", "validate", "features", "labels", "train", "evaluate")


@dataclass(frozen=True, slots=True)
class Context:
    """What a stage needs beside its own configuration, none of which changes its bytes."""

    plugins: tuple[str, ...] = ()
    local: Node = field(default_factory=dict)

    def build(self, node: Node, where: str) -> Any:
        """Build the object a mapping describes, with its run-only fields filled in."""
        return build({**node, **self.local.get(where, {})}, where, self.plugins)


class Told(Record):
    """One file of ``build/config/``."""

    code: str
    libraries: dict[str, str]
    plugins: tuple[str, ...]
    config: Node


Facts = dict[str, Any]
Stage = Callable[[Record, Context], Facts]


def run_stage(name: str) -> Facts:
    """Run a stage in the current folder and return the facts it tells about itself.

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
    context = Context(told.plugins, read_yaml(LOCAL))
    config = module.Config.parse(told.config, str(path))
    started = time.perf_counter()
    facts: Facts = module.run(config, context)
    seconds = round(time.perf_counter() - started, 3)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    log.event("stage", stage=name, seconds=seconds, peak_mb=peak_mb, **facts)
    return facts
