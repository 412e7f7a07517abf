"""``vintage simulate`` from words to files: equal to retrains, resumed, extended, cut off."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.configuration.plan import write_plan
from pipeline.configuration.planning import plan_run
from pipeline.experiments.simulate.parcel import as_array, unwrap
from pipeline.experiments.simulate.procedure import TOLD
from pipeline.frames import key_by_market, read_frame
from pipeline.live.loading import unpack
from pipeline.market.store import CandleStore, Series
from pipeline.models.base import FeatureTable
from pipeline.runner import run_stage
from pipeline.stages import paths
from tests.conftest import CHECKOUT
from tests.spine import composed

Capture = pytest.CaptureFixture[str]
MODEL = ["model=lightgbm", "model.n_estimators=12", "recipe.history_days=40", "split=holdout"]
WORDS = ["recipe=demo", *MODEL]
SPAN = ["from=2025-11-01", "to=2025-11-13", "every=3d"]
STAGES = ("download", "validate", "features", "labels", "train", "evaluate")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A home in which four turns were simulated, not to be written to, and what was told."""
    folder = tmp_path_factory.mktemp("simulated")
    shutil.copy(CHECKOUT / "params.yaml", folder / "params.yaml")
    told = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(told):
        patch.setenv("VINTAGE_HOME", str(folder))
        patch.chdir(folder)
        assert main(["simulate", *WORDS, *SPAN, "--json"]) == 0
    return folder, json.loads(told.getvalue())


@pytest.fixture
def again(
    done: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, dict[str, Any]]:
    """A copy of that home, which the code under test works in."""
    folder = Path(shutil.copytree(done[0], tmp_path / "copied"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VINTAGE_HOME", str(folder))
    return folder, done[1]


def simulated(capsys: Capture, *words: str) -> dict[str, Any]:
    assert main(["simulate", *WORDS, *words, "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def made(home: Path, kind: str) -> dict[str, bytes]:
    found = sorted(home.glob(f"build/simulations/*/{kind}/*"))
    return {path.name: path.read_bytes() for path in found}


def test_a_turn_is_what_a_retrain_at_that_moment_makes(
    done: tuple[Path, dict[str, Any]], home: Path
) -> None:
    folder, told = done
    third = unwrap(made(folder, "turns")[told["turns"][2]["file"]])
    write_plan(plan_run(composed(*MODEL, "as_of=2025-11-07T00:00Z")))
    for stage in STAGES:
        run_stage(stage)
    bundle = {
        path.relative_to(paths.BUNDLE).as_posix(): path.read_bytes()
        for path in paths.BUNDLE.rglob("*")
        if path.is_file()
    }
    assert bundle.items() <= third.items()
    kept = read_frame(third["predictions/direction.parquet"])
    theirs = read_frame(paths.PREDICTIONS / "direction.parquet")
    pd.testing.assert_frame_equal(kept[theirs.columns], theirs, check_exact=True)
    scores = json.loads(paths.HEADS.read_text())["direction"]["scores"]
    assert told["turns"][2]["scores"]["direction"] == scores


def test_answers_are_what_the_model_says_over_all_candles(
    done: tuple[Path, dict[str, Any]],
) -> None:
    folder, told = done
    head = unpack(unwrap(made(folder, "turns")[told["turns"][1]["file"]])).heads["direction"]
    (feed,) = (folder / "data" / "store").iterdir()
    store = CandleStore(folder / "data" / "store")
    candles = key_by_market(store.read(Series(feed.name, "SIM-BTC", "1h")), "SIM-BTC")
    table = FeatureTable.from_frame(head.feature_set.compute_many(candles))
    times = pd.DatetimeIndex(table.index.get_level_values("time")).as_unit("ms").asi8
    (name,) = (name for name in made(folder, "answers") if name.startswith("20251107T0000"))
    answers = unwrap(made(folder, "answers")[name])
    (asked,) = (as_array(answers[key]) for key in answers if key.endswith("/time"))
    assert len(asked) == 72
    assert pd.Timestamp(asked[0], unit="ms", tz="UTC") == pd.Timestamp("2025-11-07T00:00Z")
    expected = head.predict_proba(table, np.searchsorted(times, asked))
    np.testing.assert_allclose(as_array(answers["said/1/direction"]), expected, atol=1e-12)


def test_a_later_end_makes_only_what_is_new(
    again: tuple[Path, dict[str, Any]], capsys: Capture
) -> None:
    folder, told = again
    before = {kind: made(folder, kind) for kind in ("turns", "answers", "decisions")}
    assert told["retrained_now"] == len(before["turns"]) == 4
    longer = simulated(capsys, "from=2025-11-01", "to=2025-11-16", "every=3d")
    assert longer["retrained_now"] == 1
    assert longer["turns"][:4] == told["turns"]
    for kind, files in before.items():
        assert files.items() <= made(folder, kind).items(), kind


def test_what_was_cut_off_is_made_again_and_nothing_else(
    again: tuple[Path, dict[str, Any]], capsys: Capture
) -> None:
    home, told = again
    before = made(home, "turns")
    (folder,) = home.glob("build/simulations/*/turns")
    lost = told["turns"][1]["file"]
    (folder / lost).unlink()
    (folder / f".{lost}.1.abcd.tmp").write_bytes(b"half")
    repeated = simulated(capsys, *SPAN)
    own = {"retrained_now": 1, "folder": repeated["folder"], "page": repeated["page"]}
    assert repeated == told | own
    assert before.items() <= made(home, "turns").items()
    (ledger,) = home.glob("models/registry/**/trials.jsonl")
    (line,) = ledger.read_text().splitlines()  # one configuration, however often it is simulated
    assert json.loads(line)["source"] == "simulate"


def test_the_page_tells_every_policy_and_loads_nothing(
    again: tuple[Path, dict[str, Any]], capsys: Capture
) -> None:
    assert main(["simulate", *WORDS, *SPAN]) == 0
    out, home = capsys.readouterr().out, again[0]
    page = (home / "reports" / "simulation_demo-SIM-BTC_2025-11-01_2025-11-13.html").read_text()
    titles = ("never retraining", "retraining without a gate", "buying and holding", "staying out")
    for told in (*titles, "v0001", "v0004", "observe"):
        assert told in out
        assert told in page
    assert "0 made now, 4 kept from before" in out
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_no_label_reaches_behind_its_turn(done: tuple[Path, dict[str, Any]]) -> None:
    for name, content in made(done[0], "turns").items():
        told = json.loads(unwrap(content)[TOLD])
        as_of = pd.Timestamp(told["as_of"])
        assert pd.Timestamp(told["candles"]["last"]) == as_of - pd.Timedelta(hours=1), name
        for fit in told["heads"]["direction"]["fits"]:
            ended = pd.Timestamp(fit["train_to"]) + pd.Timedelta(hours=25)
            assert ended <= as_of, name  # the label of a day was known by then


def test_too_few_candles_for_any_model_are_told(home: Path, capsys: Capture) -> None:
    words = ["from=2025-11-01", "to=2025-11-05", "every=2d", "validation.min_rows=5000"]
    assert main(["simulate", *WORDS, *words]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert "no retrain of the simulation came to a model" in err
    assert "min_rows" in err


def test_a_pool_is_refused(home: Path, capsys: Capture) -> None:
    words = ["recipe=upbit_pooled", "exchange=simulated", "from=2025-11-01", "to=2025-11-03"]
    assert main(["simulate", *words]) == 2
    assert "is several markets, and one is asked for" in capsys.readouterr().err
