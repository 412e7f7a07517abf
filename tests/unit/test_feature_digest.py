"""A feature set has one digest, wherever it is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.config import read_yaml
from pipeline.configuration.plan import RUN, RunFacts
from pipeline.features.feature_set import FeatureSet
from pipeline.models.bundle import FILE, HeadDeclaration
from pipeline.operations.retraining.candidate import CARD, collect
from pipeline.operations.workspace import Workspace
from pipeline.stages import paths
from registry.card import Card
from registry.slots import Slot
from tests.causality import SETS
from tests.conftest import AS_OF
from tests.runs import run_stages


def test_bundle_card_and_command_tell_the_same_digest(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_stages({"recipe": "demo", "as_of": AS_OF, "model": "majority", "recipe.history_days": 20})
    head = json.loads((paths.BUNDLE / FILE).read_text())["heads"]["direction"]
    wanted = FeatureSet.parse({key: head["features"][key] for key in ("name", "columns")}, "test")
    assert head["feature_digest"] == wanted.digest == SETS["hourly46"].digest
    candidate = collect(
        Workspace(home), Slot("demo", "SIM-BTC"), RunFacts.parse(read_yaml(RUN), "")
    )
    assert Card.parse(candidate.files[CARD]).heads["direction"].feature_digest == wanted.digest
    capsys.readouterr()
    assert main(["features", "show", "hourly46"]) == 0
    assert f"digest {wanted.digest[:12]}" in capsys.readouterr().out


@pytest.mark.parametrize("name", SETS)
def test_a_declared_head_has_its_sets_digest(name: str) -> None:
    features = SETS[name]
    for columns in (features.to_list(), features.to_list()[::-1]):
        head = HeadDeclaration(
            features={"name": name, "columns": columns}, label={}, model={}, classes=("a", "b")
        )
        same = FeatureSet.parse({"name": "x", "columns": columns}, "test")
        assert head.to_node()["feature_digest"] == same.digest
    assert (same.digest == features.digest) == (len(features.names) == 1)
