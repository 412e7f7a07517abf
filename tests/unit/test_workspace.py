"""A slot's workspace: what it needs before anything is built in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.configuration.choices import read_choices
from pipeline.errors import RetryLater
from pipeline.operations import workspace
from registry.slots import Slot
from tests.conftest import CHECKOUT


def test_a_nearly_full_disk_stops_before_anything_is_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = read_choices(CHECKOUT / "params.yaml")
    monkeypatch.setattr(workspace, "FREE_BYTES", 2**80)
    with pytest.raises(RetryLater, match=r"too little free disk space.*To do: free space"):
        workspace.prepare(home, CHECKOUT, Slot("demo", "SIM-BTC"), choices)
    assert not (home / workspace.FOLDER).exists()
    monkeypatch.setattr(workspace, "FREE_BYTES", 0)
    made = workspace.prepare(home, CHECKOUT, Slot("demo", "SIM-BTC"), choices)
    assert (made.folder / "params.yaml").is_file()
