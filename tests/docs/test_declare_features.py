"""docs/how-to/declare-features.md, carried out."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from pipeline.__main__ import main
from pipeline.commands import feature_words
from pipeline.features import column
from pipeline.features.feature_set import FeatureSet
from pipeline.features.indicators import base
from tests.causality import SETS, leaking
from tests.conftest import CHECKOUT
from tests.oracles.walks import random_walk
from tests.spine import own_conf

PAGE = (CHECKOUT / "docs/how-to/declare-features.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def with_sets(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home whose conf/ has the page's sets."""
    conf = own_conf(home)
    for text in blocks("yaml"):
        name = re.findall(r"^name: (\w+)$", text, flags=re.MULTILINE)[0]
        assert f"`conf/features/{name}.yaml`" in PAGE
        (conf / "features" / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(feature_words, "checkout", lambda: home)


@pytest.mark.usefixtures("with_sets")
def test_the_sets_of_the_page_are_sets(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(blocks("yaml")) == 2
    assert main(["features", "diff", "hourly46", "hourly_lean"]) == 0
    told = capsys.readouterr().out
    assert "only in hourly46     sma_100, ema_100, price_to_sma_100\n" in told
    assert "only in hourly_lean  price_to_ema_50\n" in told
    assert main(["features", "show", "three"]) == 0
    assert capsys.readouterr().out.startswith("three: 3 columns, ")


def test_the_indicator_of_the_page_keeps_its_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = blocks("python")
    (tmp_path / "place.py").write_text(code)
    others = {name: one for name, one in base.REGISTERED.items() if name != "range_place"}
    monkeypatch.setattr(base, "REGISTERED", others)
    spec = importlib.util.spec_from_file_location("place", tmp_path / "place.py")
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    monkeypatch.setattr(column, "INDICATORS", MappingProxyType(base.REGISTERED))
    line = re.search(r"`place_20: \{indicator: (\w+), window: (\d+)\}`", PAGE)
    assert line is not None
    columns = {"place_20": {"indicator": line[1], "window": int(line[2])}}
    features = FeatureSet.parse({"name": "page", "columns": columns}, "test")
    candles = random_walk(np.random.default_rng(3), 400)
    low, high = candles["low"].rolling(20).min(), candles["high"].rolling(20).max()
    expected = (candles["close"] - low) / (high - low)
    found = features.compute(candles)["place_20"]
    assert (found - expected.iloc[19:]).abs().max() < 1e-12
    assert leaking(features.compute_all, candles, range(1, 400, 9)) == {}


def test_the_sets_that_the_page_names_exist() -> None:
    for line in re.findall(r"^vintage features (?:show|explain|diff) (\w+)", PAGE, re.MULTILINE):
        assert line in SETS
