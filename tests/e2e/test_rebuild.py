"""Which stages a change reruns: exactly those that it touches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import clone
from tests.e2e.commands import run, stages_run

pytestmark = pytest.mark.dvc
ALL = ["compose", "download", "validate", "features", "labels", "train", "evaluate"]


def test_a_change_reruns_what_it_touches(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    _edit(folder / "conf/recipe/demo.yaml", "history_days: 120", "history_days: 40")
    _edit(folder / "conf/model/lightgbm.yaml", "n_estimators: 60", "n_estimators: 20")
    run(folder, "dvc", "repro")
    steps: list[tuple[str, str, str, list[str]]] = [
        ("params.yaml", "SIM-BTC\n", "SIM-BTC\n", []),
        ("conf/model/lightgbm.yaml", "200  # rows\n", "200  # rows in a leaf\n", ["compose"]),
        ("conf/model/lightgbm.yaml", "max_depth: 3", "max_depth: 2", _from("train")),
        ("conf/label/three_class.yaml", "horizon_hours: 24", "horizon_hours: 12", _from("labels")),
        ("conf/features/hourly46.yaml", "window: 14, kind", "window: 13, kind", _columns()),
        ("params.yaml", "2025-12-20T00:00Z", "2025-12-20T01:00Z", ALL),
        ("pipeline/models/lightgbm.py", '"seed": seed,', '"seed": seed + 1,', _from("train")),
        ("pipeline/models/lightgbm.py", '"""One row."""', '"""A row."""', ["compose"]),
        ("pipeline/commands/doctor.py", "FREE_GIB = 2.0", "FREE_GIB = 3.0", ["compose"]),
        ("params.yaml", "model: recipe", "model: majority", _from("train")),
        ("pipeline/models/lightgbm.py", '"seed": seed + 1,', '"seed": seed,', ["compose"]),
    ]
    for path, old, new, expected in steps:
        _edit(folder / path, old, new)
        assert stages_run(run(folder, "dvc", "repro")) == expected, (path, new)
    _edit(folder / "params.yaml", "model: majority", "model: recipe")
    _edit(folder / "pipeline/models/lightgbm.py", '"seed": seed,', '"seed": seed + 1,')
    assert stages_run(run(folder, "dvc", "repro")) == [], "what was built is restored"


def _from(stage: str) -> list[str]:
    later = ALL[ALL.index(stage) :]
    return ["compose", *later]


def _columns() -> list[str]:
    return ["compose", "features", "train", "evaluate"]


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} lacks {old!r}"
    path.write_text(text.replace(old, new, 1))
