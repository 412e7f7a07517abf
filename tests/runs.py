"""A whole run without DVC: the six stages one after the other, in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.configuration.choices import choose
from pipeline.configuration.compose import compose_run, read_root
from pipeline.configuration.plan import write_plan
from pipeline.configuration.planning import plan_run
from pipeline.runner import STAGES, run_stage
from pipeline.stages import paths

CONF = Path(__file__).resolve().parents[1] / "conf"
MADE = (paths.CLEAN.parent, paths.FEATURES, paths.LABELS, paths.PREDICTIONS, paths.BUNDLE)
FACTS = (
    paths.QUALITY,
    paths.TRAINING,
    paths.METRICS,
    paths.HEADS,
    paths.VERDICT,
    paths.TRAINING_REPORT,
    paths.TRAINING_TABLE,
    paths.REPORT,
    paths.CONFUSION,
    paths.LOSS,
    paths.IMPORTANCE,
    paths.BACKTEST,
    paths.TRADES,
    paths.EQUITY,
)


def run_stages(words: Mapping[str, Any]) -> dict[str, float]:
    """Run ``key=value`` words in the current folder; the flat figures."""
    choices = choose(read_root(CONF).choices, words)
    write_plan(plan_run(compose_run(choices, CONF)))
    for stage in STAGES:
        run_stage(stage)
    flat: dict[str, float] = json.loads(paths.METRICS.read_text())
    return flat


def made(folder: Path) -> dict[str, bytes]:
    """What a run left that later commands read, by its path."""
    files = [path for root in MADE for path in (folder / root).rglob("*") if path.is_file()]
    files += [folder / path for path in FACTS]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(files)}
