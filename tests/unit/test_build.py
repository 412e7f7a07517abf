from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build, resolve_target
from pipeline.errors import ConfigError
from pipeline.models.majority import Majority
from pipeline.splits.holdout import Holdout

RECORD = "from pipeline.config import Record\nclass Mine(Record):\n    depth: int = 1\n"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = set(sys.modules)
    files = {
        "own_models/__init__.py": "",
        "own_models/mine.py": RECORD,
        "own_models/aliases.py": "from stranger.theirs import Mine\nfrom os import system\n",
        "own_models/broken.py": "import no_such_library_at_all\n",
        "stranger/__init__.py": "",
        "stranger/theirs.py": RECORD,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_class_of_the_pipeline_is_built() -> None:
    made = build({"_target_": "pipeline.splits.holdout.Holdout", "test_share": 0.25}, "split")
    assert made == Holdout(test_share=0.25)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "numpy.load",
        "registry.gate.GateConfig",
        "pydantic.BaseModel",
        "pipelines.models.X",
        "pipeline_evil.X",
        ".models.X",
        "eval",
        "pipeline",
        "",
        " pipeline.models.majority.Majority",
        "../pipeline.X",
    ],
)
def test_what_lies_outside_is_refused_unread(target: str) -> None:
    with pytest.raises(
        ConfigError, match=r"is refused\. Expected: a class inside pipeline"
    ) as told:
        resolve_target(target)
    assert "conf/config.yaml, plugins" in str(told.value)


@pytest.mark.parametrize(
    "target",
    [
        "pipeline.frames.pq",
        "pipeline.frames.pd",
        "pipeline.config.os",
        "pipeline.config.BaseModel",
        "pipeline.build.build",
        "pipeline.errors.ConfigError",
        "pipeline.models.majority.FittedMajority",
        "pipeline.models.majority.FILE",
        "pipeline.frames.DataError",
        "pipeline.log.datetime",
    ],
)
def test_an_alias_or_another_kind_of_object_is_refused(target: str) -> None:
    with pytest.raises(ConfigError, match=r"is refused\. Expected: a configuration record"):
        resolve_target(target)


@pytest.mark.parametrize(
    "target",
    [
        "pipeline.config.os.system",
        "pipeline.frames.pq.write_table",
        "pipeline.models.lightgbn.LightGBM",
        "pipeline.models.lightgbm.LightGBN",
        "pipeline.models.lightgbm.",
        "pipeline..models.X",
        "pipeline.\x00.X",
        "pipeline.\udcff.X",
        "pipeline.models.majority.Majority.fit",
    ],
)
def test_what_does_not_exist_is_told(target: str) -> None:
    with pytest.raises(ConfigError, match="cannot be found") as told:
        resolve_target(target)
    assert str(told.value).isprintable()


@given(
    target=st.text() | st.text().map("pipeline.{}".format) | st.text().map("pipeline.x.".__add__)
)
def test_no_text_does_anything_else(target: str) -> None:
    with pytest.raises(ConfigError):
        resolve_target(target)


def test_a_declared_plugin_is_built_and_an_undeclared_one_refused(packages: Path) -> None:
    node = {"_target_": "own_models.mine.Mine", "depth": 3}
    assert build(node, "model", ("own_models",)).depth == 3
    with pytest.raises(ConfigError, match=r"own_models\.mine\.Mine' is refused"):
        build(node, "model")
    with pytest.raises(ConfigError, match="Expected: a class inside pipeline or stranger"):
        build(node, "model", ("stranger",))


def test_a_plugin_passes_nothing_of_others_on(packages: Path) -> None:
    with pytest.raises(ConfigError, match="a class defined inside pipeline or own_models"):
        resolve_target("own_models.aliases.Mine", ("own_models",))
    with pytest.raises(ConfigError, match="a configuration record"):
        resolve_target("own_models.aliases.system", ("own_models",))
    with pytest.raises(ConfigError, match="a configuration record"):
        resolve_target("os.system", ("os",))


def test_a_plugin_that_lacks_a_library_is_told(packages: Path) -> None:
    with pytest.raises(ConfigError, match="No module named 'no_such_library_at_all'"):
        resolve_target("own_models.broken.Mine", ("own_models",))


@pytest.mark.parametrize("node", [{}, {"_target_": None}, {"_target_": 5}, {"_target_": ["a"]}])
def test_a_target_is_needed(node: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"'_target_' is missing \(model of head direction\)"):
        build(node, "model of head direction")


@pytest.mark.parametrize("node", [None, 5, "pipeline.models.majority.Majority", ["a"]])
def test_what_is_no_mapping_is_told(node: object) -> None:
    with pytest.raises(ConfigError, match=r"'_target_' is missing \(here\)"):
        build(node, "here")  # type: ignore[arg-type]


def test_keys_are_checked_where_they_stand() -> None:
    node = {"_target_": "pipeline.models.majority.Majority"}
    assert build(node, "here") == Majority()
    with pytest.raises(ConfigError, match=r"unknown key 'depth'.*\(here\)"):
        build({**node, "depth": 3}, "here")
