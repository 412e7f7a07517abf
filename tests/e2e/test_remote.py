"""What DVC keeps, of the checkout and of a slot's workspace, goes to another folder and back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.config import read_yaml
from pipeline.configuration.choices import FILE, Choices
from pipeline.operations.workspace import prepare
from registry.slots import Slot
from tests.conftest import AS_OF, clone
from tests.e2e.commands import run
from tests.runs import made, run_stages

OUTS = ("build/config", "data", "models/candidate", "reports")
SMALL = {"recipe": "demo", "model": "majority", "recipe.history_days": 20, "as_of": AS_OF}


def sent_and_fetched(folder: Path, cache: Path, remote: Path, *flags: str) -> None:
    """Push, lose the cache and all that was built, and pull: every byte is back."""
    before = made(folder)
    run(folder, "dvc", "commit", "--force", "--quiet")
    run(folder, "dvc", "remote", "add", *flags, "--default", "kept", str(remote))
    assert "pushed" in run(folder, "dvc", "push")
    shutil.rmtree(cache)
    for name in (*OUTS, ".dvc/tmp"):
        shutil.rmtree(folder / name)
    run(folder, "dvc", "pull")
    assert made(folder) == before
    assert "up to date" in run(folder, "dvc", "push")


@pytest.mark.dvc
def test_a_folder_keeps_what_was_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, remote = tmp_path / "home", tmp_path / "remote"
    home.mkdir()
    clone(home)
    monkeypatch.chdir(home)
    monkeypatch.setenv("VINTAGE_HOME", str(home))
    run_stages(SMALL)
    choices = Choices.model_validate(read_yaml(home / FILE))
    workspace = prepare(home, home, Slot.parse("demo/SIM-BTC"), choices)
    for name in OUTS:
        shutil.copytree(home / name, workspace.path(Path(name)))
    cache = home / ".dvc/cache"
    sent_and_fetched(home, cache, remote / "checkout")
    sent_and_fetched(workspace.folder, cache, remote / "slot", "--local")
    prepare(home, home, Slot.parse("demo/SIM-BTC"), choices)
    listed = run(workspace.folder, "dvc", "remote", "list").replace("\n", "")
    assert str(remote / "slot") in listed
