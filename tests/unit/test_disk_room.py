"""A build whose disk has no room is ended and told, instead of asking for ever."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import RetryLater, StageError
from pipeline.operations.retraining import build_run, disk_room
from pipeline.operations.retraining.disk_room import (
    LEAST_BYTES,
    LEAST_FILES,
    RoomWatch,
    shortage,
    told_by_system,
)
from pipeline.operations.workspace import Workspace


def free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=count))


def test_room_is_enough_from_the_least_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, LEAST_BYTES)
    assert shortage([tmp_path]) is None
    free(monkeypatch, LEAST_BYTES - 1)
    told = shortage([tmp_path])
    assert told is not None
    assert "no room left" in str(told)
    assert str(tmp_path) in str(told)


@pytest.mark.parametrize(
    ("limit", "left", "enough"),
    [(10**6, LEAST_FILES, True), (10**6, LEAST_FILES - 1, False), (0, 0, True)],
)
def test_room_for_files_is_needed_where_a_disk_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, left: int, enough: bool
) -> None:
    free(monkeypatch, LEAST_BYTES)
    told = SimpleNamespace(f_flag=0, f_files=limit, f_favail=left)
    monkeypatch.setattr(os, "statvfs", lambda _: told)
    found = shortage([tmp_path])
    assert (found is None) is enough
    assert found is None or f"room for {left} more files" in str(found)


def test_a_folder_that_is_not_there_is_looked_for_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 0)
    told = shortage([tmp_path / "not" / "there"])
    assert told is not None
    assert told.where == str(tmp_path)


def test_a_folder_that_may_not_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    told = shortage([tmp_path])
    assert told is not None
    assert "Permission denied" in str(told)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=1))
    assert "Read-only file system" in str(shortage([tmp_path]))


def test_a_build_without_room_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 0)
    monkeypatch.setattr(disk_room, "EVERY_SECONDS", 0.01)
    with subprocess.Popen(
        [sys.executable, "-c", "input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        with RoomWatch([tmp_path], process) as room:
            assert process.wait(60) != 0
        assert room.short is not None


def test_a_build_with_room_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []
    monkeypatch.setattr(disk_room, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(disk_room, "shortage", looked.append)
    with subprocess.Popen(
        [sys.executable, "-c", "input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        with RoomWatch([tmp_path], process) as room:
            while len(looked) < 3:
                pass
            process.communicate("\n")
        assert (process.returncode, room.short) == (0, None)
    assert room.thread is not None
    assert not room.thread.is_alive()


def test_dvcs_own_word_is_told_only_where_the_disk_is_not_at_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(*given: object) -> tuple[int, list[str]]:
        lines = given[-1]
        assert isinstance(lines, list)
        lines.append(said)
        return 255, []

    monkeypatch.setattr(build_run, "_run", failed)
    said = "ERROR: unexpected error - database or disk is full"
    free(monkeypatch, 0)
    with pytest.raises(RetryLater, match="no room left"):
        build_run.reproduce(Workspace(tmp_path), tmp_path, print)
    free(monkeypatch, LEAST_BYTES)
    with pytest.raises(StageError, match="database or disk is full"):
        build_run.reproduce(Workspace(tmp_path), tmp_path, print)
    said = "ERROR: failed to reproduce 'train': [Errno 28] No space left on device: '/x/cache'"
    with pytest.raises(RetryLater, match=r"No space left on device \(/x/cache\)"):
        build_run.reproduce(Workspace(tmp_path), tmp_path, print)


def test_a_line_that_passes_nothing_on_is_left_to_others() -> None:
    assert told_by_system("ERROR: failed to reproduce 'train'") is None
