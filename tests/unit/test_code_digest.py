from __future__ import annotations

import copy
import functools
import importlib.util
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from pipeline import code_digest
from pipeline.code_digest import Code, code_of
from pipeline.configuration.plan import Plan
from pipeline.runner import STAGES
from tests.conftest import CHECKOUT
from tests.spine import planned

Write = Callable[..., Code]
FILES = {
    "plug/__init__.py": "",
    "plug/model.py": "import numpy\nfrom plug import helper\n\n\ndef fit(x):\n    return x + 1\n",
    "plug/helper.py": "from .deep.inner import VALUE\n",
    "plug/deep/__init__.py": "",
    "plug/deep/inner.py": "VALUE = 1\n",
    "plug/stranger.py": "OTHER = 1\n",
}


def forget() -> None:
    code_digest._read.cache_clear()
    code_digest._is_module.cache_clear()


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Digest a small plugin after writing the given files into it."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(target: str = "plug.model", **changed: str) -> Code:
        texts = {**FILES, **{f"plug/{name}.py": text for name, text in changed.items()}}
        for name, text in texts.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        forget()
        importlib.invalidate_caches()
        return code_of([target], ["plug"])

    yield write
    for name in [name for name in sys.modules if name.split(".")[0] == "plug"]:
        del sys.modules[name]
    forget()


@pytest.mark.parametrize(
    "text",
    [
        "import numpy\nfrom plug import helper\ndef fit(x): return x + 1\n",
        "import numpy  # numbers\n\n\nfrom plug import helper\n# more\n"
        "def fit(x):\n    return x + 1\n",
        '"""What it does."""\nimport numpy\nfrom plug import helper\ndef fit(x):\n'
        '    """Add one."""\n    return (x + 1)\n',
    ],
)
def test_comments_docstrings_and_blank_lines_change_nothing(digest: Write, text: str) -> None:
    assert digest(model=text) == digest()


@pytest.mark.parametrize(
    "text",
    [
        FILES["plug/model.py"].replace("x + 1", "x + 2"),
        FILES["plug/model.py"].replace("x + 1", "x - 1"),
        FILES["plug/model.py"].replace("fit", "fitted"),
        FILES["plug/model.py"] + 'NOTE = "text"\n',
        FILES["plug/model.py"].replace("return", '"""Doc."""\n    "text"\n    return'),
        FILES["plug/model.py"].replace("x + 1", 'x + "1"'),
    ],
)
def test_an_edit_changes_the_digest(digest: Write, text: str) -> None:
    assert digest(model=text).digest != digest().digest


@pytest.mark.parametrize("name", ["helper", "deep/inner"])
def test_an_edit_far_down_the_imports_changes_the_digest(digest: Write, name: str) -> None:
    before = digest()
    assert digest(**{name: FILES[f"plug/{name}.py"] + "MORE = 1\n"}).digest != before.digest
    assert digest(**{name: FILES[f"plug/{name}.py"] + "# more\n"}) == before


@pytest.mark.parametrize("name", ["__init__", "deep/__init__"])
def test_packages_run_on_the_way_count(digest: Write, name: str) -> None:
    assert digest(**{name: "STATE = 1\n"}).digest != digest().digest


def test_a_module_that_is_not_imported_does_not_count(digest: Write) -> None:
    assert digest(stranger="OTHER = 2\n") == digest()


@pytest.mark.parametrize(
    "line",
    [
        "import plug.helper",
        "from plug import helper",
        "from . import helper",
        "from .helper import VALUE",
        "from plug.helper import VALUE as renamed",
        "def late():\n    from plug import helper",
        "if True:\n    import plug.helper as other",
    ],
)
def test_every_way_to_import_is_followed(digest: Write, line: str) -> None:
    before = digest(model=line)
    assert digest(model=line, helper="VALUE = 2\n").digest != before.digest


def test_a_relative_import_two_packages_up_is_followed(digest: Write) -> None:
    inner = {"deep/inner": "from .. import stranger\nVALUE = 1\n"}
    assert digest(**inner).digest != digest(**inner, stranger="OTHER = 2\n").digest


def test_modules_that_import_each_other_end(digest: Write) -> None:
    circle = digest(helper="import plug.model\nVALUE = 1\n")
    assert circle.digest != digest().digest


def test_libraries_are_those_that_are_imported(digest: Write) -> None:
    assert set(digest().libraries) == {"python", "numpy"}
    more = digest(**{"deep/inner": "import sklearn.tree, os, yaml\nimport no_such_library\n"})
    assert set(more.libraries) == {"python", "numpy", "scikit-learn", "pyyaml"}
    assert more.libraries["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert set(digest(target="plug.stranger").libraries) == {"python"}


def test_the_plugins_name_is_not_enough(digest: Write) -> None:
    digest()
    undeclared = code_of(["plug.model"])
    assert undeclared.digest != code_of(["plug.model"], ["plug"]).digest


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a file of this checkout may be replaced as code_digest sees it."""
    real = importlib.util.find_spec

    def find(name: str, package: str | None = None) -> ModuleSpec | None:
        spec = copy.copy(real(name, package))
        if spec is not None and spec.origin and Path(spec.origin).is_relative_to(CHECKOUT):
            other = tmp_path / Path(spec.origin).relative_to(CHECKOUT)
            spec.origin = str(other) if other.is_file() else spec.origin
        return spec

    monkeypatch.setattr(importlib.util, "find_spec", find)
    forget()
    yield tmp_path
    forget()


def codes(plan: Plan) -> dict[str, str]:
    forget()
    found = {}
    for stage in STAGES:
        modules = [target.rpartition(".")[0] for target in plan.targets[stage]]
        found[stage] = code_of([f"pipeline.stages.{stage}", *modules]).digest
    return found


@functools.cache
def unedited(plan: str) -> dict[str, str]:
    return codes(Plan.model_validate_json(plan))


def after_edit(folder: Path, plan: Plan, name: str, added: str) -> set[str]:
    before = unedited(plan.model_dump_json())
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((CHECKOUT / name).read_text() + added)
    after = codes(plan)
    path.unlink()
    return {stage for stage in STAGES if before[stage] != after[stage]}


EDITS = {
    "pipeline/models/lightgbm.py": {"train"},
    "pipeline/labels/three_class.py": {"labels"},
    "pipeline/features/indicators/averages.py": {"features", "evaluate"},  # sizes by atr_pct
    "pipeline/market/exchanges/simulated_path.py": {"download"},
    "pipeline/splits/walk_forward.py": {"train"},
    "pipeline/errors.py": {*STAGES},
    "pipeline/stages/__init__.py": {*STAGES},
    "registry/files.py": {*STAGES},
    "pipeline/configuration/compose.py": set(),
    "pipeline/configuration/stage_nodes.py": set(),
    "pipeline/configuration/tune_choice.py": set(),
    "pipeline/fitting/trial.py": {"train"},
    "pipeline/commands/stage.py": set(),
    "pipeline/operations/retraining/retrain.py": set(),
    "pipeline/live/predictor.py": set(),
    "pipeline/market/exchanges/replay.py": set(),
    "registry/gate.py": {"evaluate"},
}


def test_an_edit_reruns_the_stages_that_use_it(edited: Path) -> None:
    plan = planned("model=lightgbm")
    found = {name: after_edit(edited, plan, name, "\nADDED = 1\n") for name in EDITS}
    assert found == EDITS


def test_a_comment_reruns_nothing(edited: Path) -> None:
    plan = planned("model=lightgbm")
    for name in ("pipeline/models/lightgbm.py", "pipeline/errors.py", "registry/files.py"):
        assert after_edit(edited, plan, name, "\n# a comment\n") == set(), name


def test_a_model_that_is_not_chosen_reruns_nothing(edited: Path) -> None:
    plan = planned("model=majority")
    assert after_edit(edited, plan, "pipeline/models/lightgbm.py", "\nADDED = 1\n") == set()
