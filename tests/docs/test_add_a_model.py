"""docs/how-to/add-a-model.md, carried out."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import plugins
from pipeline.build import build
from pipeline.errors import DataError
from pipeline.models.base import FeatureTable, Model
from pipeline.models.probabilities import check_probabilities
from tests.conftest import CHECKOUT
from tests.discovered import column_samples
from tests.spine import own_conf, planned

PAGE = (CHECKOUT / "docs/how-to/add-a-model.md").read_text()


def block(kind: str) -> str:
    (found,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(found)


@pytest.fixture
def conf(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A conf/ that has the page's YAML, and a folder of plugins that has its code."""
    made = own_conf(home)
    (folder := tmp_path / "own").mkdir()
    (code,) = re.findall(r"`plugins/(\w+\.py)`", PAGE)
    (folder / code).write_text(block("python"))
    (name,) = re.findall(r"`conf/(model/\w+\.yaml)`", PAGE)
    (made / name).write_text(block("yaml"))
    monkeypatch.setattr(plugins, "__path__", [str(folder)])
    monkeypatch.delitem(sys.modules, "plugins.climates", raising=False)
    monkeypatch.delattr(plugins, "climates", raising=False)
    return made


def test_the_model_of_the_page_is_planned_and_keeps_its_promises(conf: Path) -> None:
    (words,) = re.findall(r"^vintage retrain (.*)$", PAGE, flags=re.MULTILINE)
    plan = planned(*words.split(), conf=conf)
    (head,) = plan.stages["train"]["heads"].values()
    assert head["model"] == {"_target_": "plugins.climates.Climates", "column": 0, "parts": 3}
    model: Model = build(head["model"], "the page", ("plugins",))
    given = column_samples(1_200)
    fitted = model.fit(given, np.random.default_rng(1))
    files = fitted.save()
    assert model.fit(given, np.random.default_rng(1)).save() == files
    again, found = model.load(files), fitted.predict_proba(given.table, given.rows)
    check_probabilities(found)
    assert again.predict_proba(given.table, given.rows).tobytes() == found.tobytes()
    assert (again.report(), again.save()) == (fitted.report(), files)
    assert (found.argmax(axis=1) == given.label).mean() > 0.55
    turned = FeatureTable(given.table.columns[::-1], given.table.values, given.table.index)
    with pytest.raises(DataError, match="not the model's columns"):
        fitted.predict_proba(turned, given.rows)


def test_the_modules_that_the_page_names_exist() -> None:
    named = re.findall(r"`(pipeline/[\w/]+\.py)`", PAGE)
    assert len(named) == 3
    assert [name for name in named if not (CHECKOUT / name).exists()] == []
