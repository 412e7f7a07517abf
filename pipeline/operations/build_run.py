"""``dvc repro`` in a workspace, as a child process whose failure keeps its own meaning."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StageError, VintageError, told_by_stage
from pipeline.operations.workspace import Workspace, child_environment
from pipeline.runner import FAILURE

RUNNING = "Running stage '"
RESTORED = "is cached - skipping run"


@dataclass(frozen=True, slots=True)
class BuildReport:
    """Which stages ran; the others were unchanged or restored."""

    ran: tuple[str, ...]


def reproduce(
    workspace: Workspace, home: Path, progress: Callable[[str], None], force: bool = False
) -> BuildReport:
    """Bring a workspace up to date.

    Parameters
    ----------
    progress
        Called with a stage's name when it starts.

    Raises
    ------
    VintageError
        The error of the stage that failed, with its own exit code.
    """
    workspace.path(FAILURE).unlink(missing_ok=True)
    command = [sys.executable, "-m", "dvc", "repro", *(["--force"] if force else [])]
    environment = child_environment(home, Path(sys.executable))
    with subprocess.Popen(
        command,
        cwd=workspace.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        ran = list(_stages(process.stdout, lines, progress))
    if process.returncode != 0:
        raise _failure(workspace, lines)
    return BuildReport(tuple(ran))


def _stages(
    output: Iterator[str], lines: list[str], progress: Callable[[str], None]
) -> Iterator[str]:
    for line in output:
        lines.append(line.rstrip())
        if line.startswith(RUNNING):
            stage = line.removeprefix(RUNNING).split("'")[0]
            progress(stage)
            yield stage


def _failure(workspace: Workspace, lines: list[str]) -> VintageError:
    path = workspace.path(FAILURE)
    if path.is_file():
        told = json.loads(path.read_text())
        return told_by_stage(told["message"], told["exit_code"])
    last = " | ".join(line for line in lines if line)[-600:]
    return StageError("dvc repro failed", where=str(workspace.folder), found=last)
