"""What a retrain of a slot would do, found by looking alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.config import read_yaml, to_yaml
from pipeline.configuration.choices import FILE
from pipeline.configuration.plan import told_files
from pipeline.experiments.audit.results import audited
from pipeline.operations.places import Places
from pipeline.operations.retraining.step_watch import START
from pipeline.operations.target import Target
from pipeline.operations.versions.audit_notes import audit_of
from pipeline.operations.walk import unchanged
from pipeline.operations.walk.slot_result import SlotResult
from pipeline.operations.workspace import FOLDER
from registry.pointers import champion

GRAPH = Path("dvc.yaml")


def planned(target: Target, places: Places, words: str) -> SlotResult:
    """Which stages would run: those that are told something else, and those after them.

    It may name too many: a stage whose inputs come out as they were is skipped, or restored.
    """
    before = champion(places.registry.root, target.slot)
    earlier = None if target.skip or target.build.force else unchanged.still(target, places)
    stages = () if earlier else tuple(would_run(target, places))
    plan = f"would run {', '.join(stages)}" if stages else "nothing would run"
    told = audited(audit_of(target.plan, places.home, places.checkout), target.chosen)
    return SlotResult(
        slot=str(target.slot),
        words=words,
        as_of=target.plan.run.as_of,
        state="planned",
        stages=stages,
        champion=before.version if before else None,
        sentence=f"{plan}; {told.reason}",
    )


def would_run(target: Target, places: Places) -> list[str]:
    """Stages of ``dvc.yaml``, in order, that a retrain of the slot would run at most."""
    workspace = places.home / FOLDER / str(target.slot)
    graph = read_yaml(places.checkout / GRAPH)["stages"]
    if target.build.force or not (workspace / "dvc.lock").is_file():
        return list(graph)
    told = {path.as_posix(): content for path, content in told_files(target.plan).items()}
    told[FILE.as_posix()] = to_yaml(target.choices.model_dump()).encode()
    news = {name for name, content in told.items() if _content(workspace / name) != content}
    running = [START] if news else []
    for stage, node in graph.items():
        needs, makes = _names(node, "deps"), _names(node, "outs", "metrics", "plots")
        lost = any(not (workspace / name).exists() for name in makes)
        if stage != START and (lost or news & needs):
            running.append(stage)
            news |= makes
    return running or [START]


def _names(node: Any, *keys: str) -> set[str]:
    """Paths below these keys; a plot's is the key of its settings."""
    return {
        name
        for key in keys
        for each in node.get(key, ())
        for name in (each if isinstance(each, dict) else [each])
    }


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
