"""A damaged byte in any kind of file of a version: no parser sees it, and somebody answers."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.commands import predict as predicting
from pipeline.errors import ConfigError
from pipeline.frames import encode_frame
from pipeline.live import first_load
from pipeline.live.loading import unpack
from pipeline.live.served import served
from pipeline.models.bundle import HeadDeclaration, pack
from pipeline.models.calibration import Sigmoids, calibrator_node
from registry import pointers
from registry.errors import RegistryError
from registry.slots import Slot
from registry.versions import Registry
from tests.conftest import AS_OF, CHECKOUT
from tests.discovered import CLASSES, column_samples, declaration, small_model
from tests.faults import damaged
from tests.simulated import declared
from tests.unit.test_comparing import WORDS, Retrain
from tests.unit.test_comparing import retrained as retrained  # noqa: PLC0414 - a fixture
from tests.volume import volume

AT = "2025-12-20T03:00:00+00:00"
SLOT = Slot.parse("demo/SIM-BTC")
OFFSETS = 10
NEXT = "2025-12-21T00:00Z"
MODELS = ("lightgbm", "logistic", "lstm", "lstm_lgbm", "majority", "stack", "tcn", "xgboost")
NAMES = (
    *("heads/lightgbm/model.txt", "heads/lightgbm/columns.json"),
    *("heads/logistic/logistic.json", "heads/logistic/scaler.json"),
    *("heads/lstm/network.onnx", "heads/lstm/model.json", "heads/lstm/training.json"),
    *("heads/lstm_lgbm/network.onnx", "heads/lstm_lgbm/trees.txt"),
    "heads/majority/majority.json",
    *("heads/stack/stack.json", "heads/stack/boosted.model.ubj.zlib"),
    *("heads/stack/meta.logistic.json", "heads/stack/trees.model.txt"),
    "heads/tcn/network.onnx",
    *("heads/xgboost/model.ubj.zlib", "heads/xgboost/model.json"),
    *("predictions/xgboost.parquet", "report.html", "training.json"),
    "bundle.json",
)
PARTS = ("calibrator", "features", "label", "model", "feature_digest")  # of a head in bundle.json


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """A version that has a head of every kind of model, and all that stands beside the heads."""
    heads, fitted = {}, {}
    for name in MODELS:
        training = {"max_epochs": 1} if "training" in declaration(name) else {}
        heads[name] = _head(declaration(name, **training))
        model = small_model(name, **training)
        fitted[name] = model.fit(column_samples(), np.random.default_rng(7))
    probabilities = pd.DataFrame(np.random.default_rng(1).dirichlet([1, 1, 1], 300))
    frame = probabilities.set_axis(list(CLASSES), axis=1)
    beside = {
        "predictions/xgboost.parquet": encode_frame(frame),
        "report.html": b"<html>" + bytes(2000),
        "training.json": json.dumps({"heads": list(MODELS)}).encode(),
    }
    return {**pack("1h", heads, fitted), **beside}


def _head(model: dict[str, Any]) -> HeadDeclaration:
    calibrator = Sigmoids(slopes=(1.1, 0.9, 1.0), intercepts=(0.1, 0.0, -0.1))
    features = declared("features", "hourly46")
    return HeadDeclaration(
        features={
            "_target_": "pipeline.features.feature_set.FeatureSet",
            "name": features.name,
            "columns": features.to_list(),
        },
        label={"_target_": "pipeline.labels.three_class.ThreeClass"},
        model=model,
        classes=CLASSES,
        calibrator=calibrator_node(calibrator),
    )


@pytest.fixture
def registry(
    tmp_path: Path, files: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> Registry:
    """Two versions of the same files, the second of them champion; no child is started."""
    monkeypatch.setenv("VINTAGE_HOME", str(tmp_path))
    monkeypatch.setattr(first_load, "_load_in_child", lambda *_: None)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    made = Registry(tmp_path / "models/registry")
    for as_of in ("one", "two"):
        told = {**files, "card.json": json.dumps({"as_of": as_of}).encode()}
        version = made.add(SLOT, told, AT).version
        pointers.move(made.root, SLOT, version, "trade", reason="x", who="test", at=AT)
    return made


def test_every_kind_of_file_is_tried(files: Mapping[str, bytes]) -> None:
    assert set(NAMES) <= set(files)
    assert {Path(name).suffix for name in files} == {Path(name).suffix for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_artefact_is_never_parsed_and_the_one_before_answers(
    registry: Registry, files: Mapping[str, bytes], name: str
) -> None:
    path, chance = SLOT.folder(registry.root) / "v0002" / name, random.Random(name)
    path.chmod(0o644)
    for _ in range(volume(OFFSETS)):
        path.write_bytes(damaged(files[name], chance))
        with pytest.raises(RegistryError, match=f"v0002/{name}"):
            registry.open(SLOT)
        found = served(registry, SLOT, ())
        assert found is not None
        assert (found.verified.version, found.stands_in_for) == ("v0001", "v0002")
        assert {**found.verified.contents, "card.json": b""} == {**files, "card.json": b""}
    path.write_bytes(files[name])
    found = served(registry, SLOT, ())
    assert found is not None
    assert found.stands_in_for == ""
    assert set(unpack(found.verified.contents).heads) == set(MODELS)


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_part_of_the_declaration_is_refused(
    registry: Registry, files: Mapping[str, bytes], part: str
) -> None:
    path, chance = SLOT.folder(registry.root) / "v0002" / "bundle.json", random.Random(part)
    path.chmod(0o644)
    intact = files["bundle.json"]
    for _ in range(volume(OFFSETS)):
        begin, end = span(intact.decode(), chance.choice(MODELS), part)
        at = chance.randrange(begin, end)
        path.write_bytes(
            intact[:at] + bytes([intact[at] ^ 1 << chance.randrange(8)]) + intact[at + 1 :]
        )
        with pytest.raises(RegistryError, match=r"v0002/bundle\.json"):
            registry.open(SLOT)
    found = served(registry, SLOT, ())
    assert found is not None
    assert (found.verified.version, found.stands_in_for) == ("v0001", "v0002")


def span(bundle: str, head: str, part: str) -> tuple[int, int]:
    """Where the value of a head's part begins and ends in the text of ``bundle.json``."""
    within = bundle.index(f'"{head}": {{', bundle.index('"heads"'))
    key = f'\n   "{part}": '
    begin = bundle.index(key, within) + len(key)
    value, end = json.JSONDecoder().raw_decode(bundle, begin)
    assert value == json.loads(bundle)["heads"][head][part]
    return begin, end


def test_damaged_features_in_conf_change_no_answer_or_are_told_by_name(
    home: Path,
    retrained: Retrain,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(first_load, "_load_in_child", lambda *_: None)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    retrained()
    path, chance = tmp_path / "checkout/conf/features/hourly46.yaml", random.Random(5)
    shutil.copytree(CHECKOUT / "conf", tmp_path / "checkout/conf")
    monkeypatch.setattr(predicting, "checkout", lambda: tmp_path / "checkout")
    intact, answers, refused = path.read_bytes(), set(), 0
    for content in (intact, *(damaged(intact, chance) for _ in range(volume(OFFSETS)))):
        path.write_bytes(content)
        capsys.readouterr()
        code, told = main(["predict", *WORDS, f"as_of={AS_OF}", "--json"]), capsys.readouterr()
        if code == 0:
            answers.add(json.dumps({**json.loads(told.out), "age_hours": 0}))
        else:
            refused += 1
            assert code == ConfigError.exit_code, told.err
            assert told.err.count("error: ") == told.err.count("To do: ") == 1, told.err
    assert len(answers) == 1
    assert refused


def test_a_predictor_goes_on_answering_whatever_is_damaged(
    home: Path,
    retrained: Retrain,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(first_load, "_load_in_child", lambda *_: None)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    place, chance = SLOT.folder(home / "models/registry"), random.Random(4)
    retrained(), retrained(NEXT)

    def predicted() -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["predict", *WORDS, f"as_of={NEXT}", "--json"])
        told = capsys.readouterr()
        return code, json.loads(told.out)["version"] if told.out else "", told.err

    assert predicted()[:2] == (0, "v0002")
    names = sorted(path for path in (place / "v0002").rglob("*") if path.is_file())
    for number in range(volume(OFFSETS // 2)):
        path = names[number % len(names)]
        intact = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(damaged(intact, chance))
        assert predicted()[:2] == (0, "v0001"), path
        path.write_bytes(intact)
    for version in ("v0001", "v0002"):
        (place / version / "bundle.json").unlink()
    code, _, told = predicted()
    assert code == RegistryError.exit_code
    assert "v0002/bundle.json" in told
