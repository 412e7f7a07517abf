"""Building in a workspace whose dvc.lock was cut by a kill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import StageError
from pipeline.operations.retraining import build_run
from pipeline.operations.workspace import Workspace

CUT = "ERROR: './dvc.lock' validation failed."


def _dvc(answers: list[tuple[int, str]]) -> Callable[..., tuple[int, list[str]]]:
    def run(
        workspace: Workspace, home: Path, progress: object, words: list[str], lines: list[str]
    ) -> tuple[int, list[str]]:
        code, line = answers.pop(0)
        lines.append(line)
        return code, ["train"]

    return run


def test_a_cut_lock_is_dropped_and_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "dvc.lock"
    lock.write_text("cut")
    monkeypatch.setattr(build_run, "_run", _dvc([(255, CUT), (0, "fine")]))
    report = build_run.reproduce(Workspace(tmp_path), tmp_path, print)
    assert report.ran == ("train",)
    assert not lock.exists()


def test_another_failure_keeps_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "dvc.lock"
    lock.write_text("whole")
    monkeypatch.setattr(build_run, "_run", _dvc([(255, "ERROR: something else")]))
    with pytest.raises(StageError, match="something else"):
        build_run.reproduce(Workspace(tmp_path), tmp_path, print)
    assert lock.read_text() == "whole"


@pytest.mark.parametrize(
    ("force", "targets", "words"),
    [
        (False, (), []),
        (True, (), ["--force"]),
        (False, ("features", "labels"), ["features", "labels"]),
    ],
)
def test_dvc_is_told_what_is_wanted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    force: bool,
    targets: tuple[str, ...],
    words: list[str],
) -> None:
    asked: list[list[str]] = []

    def run(*told: object) -> tuple[int, list[str]]:
        asked.append(list(told[3]))
        return 0, []

    monkeypatch.setattr(build_run, "_run", run)
    build_run.reproduce(Workspace(tmp_path), tmp_path, print, build_run.How(force, targets))
    assert asked == [words]
