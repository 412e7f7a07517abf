"""``dvc repro`` in a workspace, as a child process whose failure keeps its own meaning."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pipeline.errors import RetryLater, StageError, VintageError, told_by_stage
from pipeline.operations.retraining.disk_room import RoomWatch, shortage, told_by_system
from pipeline.operations.retraining.step_watch import START, Limits, Watch, stop
from pipeline.operations.workspace import CACHE, SITE_CACHE, Workspace, child_environment
from pipeline.runner import FAILURE
from registry.errors import RegistryError

RUNNING = "Running stage '"
BUSY = Path(".dvc/tmp/rwlock")
DVC_LOCK = Path("dvc.lock")
DAMAGED = "dvc.lock' validation failed"  # what a kill in the middle of writing it leaves


@dataclass(frozen=True, slots=True)
class How:
    """How a build behaves.

    Parameters
    ----------
    force
        Run every stage, whether anything changed or not.
    targets
        The stages wanted, with what they need; every stage where none is named.
    """

    force: bool = False
    targets: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)


USUAL = How()


@dataclass(frozen=True, slots=True)
class BuildReport:
    """Which stages ran; the others were unchanged or restored."""

    ran: tuple[str, ...]


def reproduce(
    workspace: Workspace,
    home: Path,
    progress: Callable[[str], None],
    how: How = USUAL,
) -> BuildReport:
    """Bring a workspace up to date.

    Parameters
    ----------
    progress
        Called with a stage's name when it starts.

    Raises
    ------
    RetryLater
        When a stage took longer than it may, or a disk had no room left; it and all that it started
        were ended.
    VintageError or RegistryError
        The error of the stage that failed, with its own exit code.
    """
    _free(workspace)
    workspace.path(FAILURE).unlink(missing_ok=True)
    lines: list[str] = []
    words = [*(["--force"] if how.force else []), *how.targets]
    watch = Watch(progress, how.limits)
    code, ran = _run(workspace, home, watch, words, lines)
    if code != 0 and any(DAMAGED in line for line in lines):
        workspace.path(DVC_LOCK).unlink(missing_ok=True)
        lines.clear()
        code, ran = _run(workspace, home, watch, words, lines)
    if code != 0:
        if watch.late:
            raise watch.too_late(workspace.folder)
        raise _told(workspace) or shortage(_written(workspace, home)) or _untold(workspace, lines)
    return BuildReport(tuple(ran))


def _run(
    workspace: Workspace,
    home: Path,
    watch: Watch,
    words: Sequence[str],
    lines: list[str],
) -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "dvc", "repro", *words]
    with subprocess.Popen(
        command,
        cwd=workspace.folder,
        env=child_environment(home, Path(sys.executable)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        room = RoomWatch(_written(workspace, home), process)
        try:
            assert process.stdout is not None
            watch.process = process
            watch.step(START)
            with room:
                ran = list(_stages(process.stdout, lines, watch))
                process.wait()
        except BaseException:
            stop(process)
            raise
        finally:
            watch.rest()
    if process.returncode != 0 and room.short is not None:
        raise room.short
    return process.returncode, ran


def _written(workspace: Workspace, home: Path) -> tuple[Path, ...]:
    return workspace.folder, home / CACHE, home / SITE_CACHE


def running_dvc(folder: Path) -> int | None:
    """Process that works in a folder by DVC's own lock; None where none lives."""
    lock = folder / BUSY
    if not lock.is_file():
        return None
    owners = {int(found) for found in re.findall(r'"pid": (\d+)', lock.read_text())}
    return min(filter(_is_alive, owners), default=None)


def _free(workspace: Workspace) -> None:
    """Drop the lock that a killed dvc left; the caller holds the slot's own lock."""
    if process := running_dvc(workspace.folder):
        raise RetryLater(
            "a dvc process of an earlier retrain still runs in this slot's workspace",
            where=str(workspace.folder),
            found=f"process {process}",
            fix="wait for it to end, or end it, and repeat",
        )
    workspace.path(BUSY).unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _stages(
    output: Iterator[str], lines: list[str], progress: Callable[[str], None]
) -> Iterator[str]:
    for line in output:
        lines.append(line.rstrip())
        if line.startswith(RUNNING):
            stage = line.removeprefix(RUNNING).split("'")[0]
            progress(stage)
            yield stage


def _told(workspace: Workspace) -> VintageError | RegistryError | None:
    """What the stage that failed said of it; None where it could not."""
    path = workspace.path(FAILURE)
    if not path.is_file():
        return None
    told = json.loads(path.read_text())
    if told["exit_code"] == RegistryError.exit_code:
        return RegistryError(told["message"])
    return told_by_stage(told["message"], told["exit_code"])


def _untold(workspace: Workspace, lines: list[str]) -> VintageError:
    errors = [line for line in lines if line.lower().startswith("error")]
    found = errors[0] if errors else " ".join(lines[-3:])
    if refused := told_by_system(found):
        return refused
    return StageError("dvc repro failed", where=str(workspace.folder), found=found)
