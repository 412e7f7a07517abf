"""``vintage stage NAME``: what dvc.yaml calls."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.commands.arguments import parse, parser
from pipeline.commands.console import table
from pipeline.configuration.choices import FILE, LAST, NOW, read_choices
from pipeline.errors import ConfigError, VintageError, from_system, nearest
from pipeline.runner import FAILURE, STAGES, read_timing, run_stage
from registry.errors import RegistryError
from registry.files import write_atomic

COMPOSE, FEATURES, TRAIN, VALIDATE = "compose", "features", "train", "validate"


def main(argv: Sequence[str]) -> int:
    """Run one stage in the current folder."""
    made = parser("stage", "Run one stage in the current folder; dvc.yaml calls this.")
    made.add_argument("name", help=", ".join((COMPOSE, *STAGES)))
    name = parse(made, argv).name
    if name not in (COMPOSE, *STAGES):
        raise ConfigError(f"unknown stage '{name}'", fix=nearest(name, (COMPOSE, *STAGES)))
    FAILURE.unlink(missing_ok=True)
    if name == FEATURES:
        _announce_compilation()
    try:
        _compose() if name == COMPOSE else run_stage(name, pd.Timestamp.now(tz="UTC"))
    except (VintageError, RegistryError, OSError) as caught:
        error = from_system(caught) if isinstance(caught, OSError) else caught
        told = {"stage": name, "message": str(error), "exit_code": error.exit_code}
        write_atomic(FAILURE, json.dumps(told).encode())
        raise error from caught
    if name in PRINTED:
        print(PRINTED[name]())
    return 0


def _announce_compilation() -> None:
    from pipeline.kernel_cache import kept

    if not kept():
        print(
            "compiling indicators, once: about a quarter of a minute", file=sys.stderr, flush=True
        )


def _compose() -> None:
    from pipeline.configuration.compose import compose_run
    from pipeline.configuration.plan import write_plan
    from pipeline.configuration.planning import plan_run

    choices = read_choices(FILE)
    if choices.as_of in (LAST, NOW):
        raise ConfigError(
            f"as_of: {choices.as_of} would make this build irreproducible",
            where=str(FILE),
            expected="an explicit moment, such as 2025-12-20T00:00Z",
            fix="write the moment; vintage retrain resolves last and now by itself",
        )
    write_plan(plan_run(compose_run(choices, Path("conf")), str(FILE)))


def _training() -> str:
    from pipeline.evaluation.training_table import FITS, fit_rows
    from pipeline.stages.paths import TRAINING

    heads = json.loads(TRAINING.read_text())["heads"]
    tables = [f"{name}\n{table(FITS, fit_rows(head))}" for name, head in heads.items()]
    timing = read_timing(TRAIN)
    assert timing is not None
    cost = f"{timing.seconds:.1f} s, {timing.cpu_seconds:.1f} CPU s, at most {timing.peak_mb} MiB"
    return "\n\n".join([*tables, f"trained in {cost}"])


def _quality() -> str:
    from pipeline.market.quality import summary
    from pipeline.stages.paths import QUALITY

    return summary(json.loads(QUALITY.read_text()))


PRINTED = {TRAIN: _training, VALIDATE: _quality}
