"""A slot of a fleet whose stages run in the process that has it, without DVC."""

from __future__ import annotations

import pytest

from pipeline.configuration.choices import FILE, read_choices
from pipeline.configuration.compose import compose_run
from pipeline.configuration.plan import write_plan
from pipeline.configuration.planning import plan_run
from pipeline.operations.retraining import retrain as retrains
from pipeline.operations.retraining.build_run import BuildReport
from pipeline.operations.walk.slot_result import SlotResult
from pipeline.operations.walk.slot_run import SlotTask, run_slot
from pipeline.operations.workspace import Workspace
from pipeline.runner import STAGES, run_stage


def build(workspace: Workspace, *_: object) -> BuildReport:
    """What ``dvc repro`` does, in this process: from the workspace's own params.yaml."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace.folder)
        write_plan(plan_run(compose_run(read_choices(FILE), workspace.folder / "conf")))
        for stage in STAGES:
            run_stage(stage)
    return BuildReport(STAGES)


def without_dvc(task: SlotTask, progress: object = None) -> SlotResult:
    """A slot of which the stages run in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrains, "reproduce", build)
        return run_slot(task)
