"""What every recipe of conf/ comes to on recorded candles, as it was when last accepted.

A recipe without accepted figures fails. To accept what it gives now:
``VINTAGE_REFRESH_GOLDEN=1 python -m pytest -n0 tests/golden/test_recipes.py -k RECIPE``
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.stages import paths
from tests.conftest import AS_OF, CHECKOUT
from tests.runs import run_stages

pytestmark = pytest.mark.real
FOLDER = Path(__file__).with_name("recipes")
COMMAND = "VINTAGE_REFRESH_GOLDEN=1 python -m pytest -n0 tests/golden/test_recipes.py -k"
RECIPES = sorted(path.stem for path in (CHECKOUT / "conf" / "recipe").glob("*.yaml"))
UPBIT = {"exchange": "replay", "exchange.root": "upbit", "as_of": AS_OF}
BINGX = {
    "exchange": "replay",
    "exchange.root": "bingx_or_binance/bingx_swap",
    "as_of": "2025-10-14T00:00Z",
    "recipe.history_days": 20,
}
RECORDED: dict[str, dict[str, dict[str, Any]]] = {
    "bingx_calibrated": {"BTC-USDT": BINGX},
    "bingx_dual": {"BTC-USDT": BINGX},
    "demo": {"KRW-SOL": UPBIT},
    "upbit_hourly": {"KRW-BTC": UPBIT, "KRW-XRP": UPBIT},
    "upbit_pooled": {"KRW-ALL": UPBIT},
}
NEW = {"SIM-BTC": {"exchange": "simulated", "as_of": AS_OF}}  # until its candles stand above
OF_A_HEAD = ("log_loss", "brier_skill", "balanced_accuracy")
OF_A_RUN = ("trades", "net_return")


def figures(words: dict[str, Any]) -> dict[str, Any]:
    """Run in the current folder: figures of each head, and what trading them came to."""
    flat = run_stages(words)
    heads = json.loads(paths.HEADS.read_text())
    return {
        "heads": {
            name: {figure: told["metrics"][figure]["value"] for figure in OF_A_HEAD}
            for name, told in heads.items()
        },
        **{name: flat.get(name) for name in OF_A_RUN},
    }


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_comes_to_its_accepted_figures(recipe: str, home: Path, real_data: Path) -> None:
    found = {}
    for market, words in RECORDED.get(recipe, NEW).items():
        own = {"recipe": recipe, "market": market, **words}
        if "exchange.root" in own:
            own["exchange.root"] = str(real_data / own["exchange.root"])
        found[market] = figures(own)
    assert home == Path.cwd()
    accepted = FOLDER / f"{recipe}.json"
    if os.environ.get("VINTAGE_REFRESH_GOLDEN"):
        FOLDER.mkdir(exist_ok=True)
        accepted.write_text(json.dumps(found, indent=1) + "\n")
    assert accepted.is_file(), f"{recipe} has no accepted figures: {COMMAND} {recipe}"
    told = json.loads(accepted.read_text())
    assert {*found} == {*told}
    for market, expected in told.items():
        _require_same(found[market], expected, f"{recipe} {market}")


def test_no_figures_are_left_of_a_recipe_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} <= {*RECIPES}


def _require_same(found: dict[str, Any], expected: dict[str, Any], where: str) -> None:
    """To six digits, which is what figures are written with."""
    assert {*found["heads"]} == {*expected["heads"]}, where
    for name, told in expected["heads"].items():
        assert found["heads"][name] == pytest.approx(told, rel=2e-6, abs=1e-12), f"{where} {name}"
    for name in OF_A_RUN:
        assert found[name] == pytest.approx(expected[name], rel=2e-6, abs=1e-12), where
