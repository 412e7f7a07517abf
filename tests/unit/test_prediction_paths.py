"""Rows that are predicted by several models, from the split to the scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.comparison import compare
from pipeline.evaluation.metrics import brier, score_head
from pipeline.evaluation.prediction_paths import mean_over_paths, paths_of
from pipeline.fitting.training import train_head
from pipeline.fitting.training_facts import head_facts
from pipeline.frames import read_frame
from pipeline.operations.retraining.candidate import _out_of_fold
from pipeline.splits.combinatorial import Combinatorial
from pipeline.splits.purged_kfold import PurgedKFold
from pipeline.stages import paths
from tests.conftest import AS_OF
from tests.pages import parse
from tests.report_facts import section_of
from tests.runs import run_stages
from tests.unit.test_training import CLASSES, TREES, joined_rows

PAIRS = Combinatorial(block_count=4, tested_blocks=2, embargo_hours=24)
DEMO = {"recipe": "demo", "as_of": AS_OF, "recipe.history_days": 30, "model": "majority"}


def labelled(predictions: pd.DataFrame) -> pd.DataFrame:
    rows = joined_rows()
    known = pd.DataFrame({"label": rows.label, "ends_at": rows.ends_at}, rows.index)
    return predictions.join(known)


@pytest.fixture(scope="module")
def predicted() -> pd.DataFrame:
    """Each row predicted by three of six models, in no order."""
    found = train_head(joined_rows(), TREES, PAIRS, seed=7).predictions
    return labelled(found.sample(frac=1, random_state=3))


def test_each_path_holds_each_row_once_and_together_all_predictions(
    predicted: pd.DataFrame,
) -> None:
    rows, found = joined_rows(), paths_of(predicted)
    assert len(predicted) == 3 * len(rows.rows)
    assert [path.index.equals(rows.index.sort_values()) for path in found] == [True] * 3
    assert (found[0]["fold"] < found[1]["fold"]).all()
    assert (found[1]["fold"] < found[2]["fold"]).all()
    together = pd.concat(found).sort_values(["fold", "time"])
    pd.testing.assert_frame_equal(together, predicted.sort_values(["fold", "time"]))


def test_scores_are_means_over_paths_and_count_each_row_once(predicted: pd.DataFrame) -> None:
    each = [score_head(path, CLASSES, "1h") for path in paths_of(predicted)]
    mean = mean_over_paths(each)
    pooled = score_head(predicted, CLASSES, "1h")
    assert mean["log_loss"] == pytest.approx(pooled["log_loss"], rel=1e-12)
    assert mean["rows"] == len(joined_rows().rows) == pooled["rows"] / 3
    assert mean["effective_rows"] == pytest.approx(each[0]["effective_rows"])
    lows = [path["brier_skill_low"] for path in each]
    assert min(lows) < mean["brier_skill_low"] < max(lows)


def test_the_mean_of_the_predictions_would_flatter_the_models(predicted: pd.DataFrame) -> None:
    columns = [f"p_{name}" for name in CLASSES]
    each = [path[columns].to_numpy() for path in paths_of(predicted)]
    happened = paths_of(predicted)[0]["label"].to_numpy("int64")
    served = np.mean([brier(one, happened).mean() for one in each])
    assert brier(np.mean(each, axis=0), happened).mean() < served - 0.01


def test_rows_predicted_once_are_one_path_as_they_are() -> None:
    split = PurgedKFold(fold_count=4, embargo_hours=24)
    rows = labelled(train_head(joined_rows(), TREES, split, seed=7).predictions)
    assert paths_of(rows)[0] is rows
    scores = score_head(rows, CLASSES, "1h")
    assert mean_over_paths([scores]) == scores


def test_a_champion_is_compared_by_one_prediction_of_each_row(predicted: pd.DataFrame) -> None:
    facts = {"classes": list(CLASSES), "label": "as declared"}
    many, one = _out_of_fold(predicted, facts), _out_of_fold(paths_of(predicted)[0], facts)
    for candidate, champion in ((many, one), (one, many), (many, many)):
        found = compare({"head": candidate}, {"head": champion}, "1h")
        assert (found.common_rows, found.log_loss_difference) == (len(joined_rows().rows), 0.0)


def test_facts_hold_every_block_of_a_fold() -> None:
    rows = joined_rows()
    trained = train_head(rows, TREES, PAIRS, seed=7)
    facts = head_facts(rows, trained, "plugins.own.Own", 1)
    assert facts["paths"] == 3
    fold, apart = trained.folds[1], facts["fits"][1]
    assert apart["purged_rows"] == len(fold.purged) > 0
    for kind, positions, count in (("train", fold.train, 2), ("test", fold.test, 2)):
        blocks = apart[f"{kind}_blocks"]
        assert len(blocks) == count
        inside = [(rows.time >= first) & (rows.time <= last) for first, last in blocks]
        assert np.flatnonzero(np.any(inside, axis=0)).tolist() == positions.tolist()
        assert apart[f"{kind}_from"] == blocks[0][0]
        assert apart[f"{kind}_to"] == blocks[-1][1]
    assert len(facts["fits"][-1]["train_blocks"]) == 1


@pytest.mark.parametrize(
    ("split", "folds", "times"), [("purged_kfold", 5, 1), ("combinatorial", 15, 5)]
)
def test_a_run_says_what_its_models_knew(home: Path, split: str, folds: int, times: int) -> None:
    flat = run_stages({**DEMO, "split": split})
    written = read_frame(home / paths.PREDICTIONS / "direction.parquet")
    assert len(written) == times * flat["rows"] == times * written.index.nunique()
    told = json.loads((home / paths.TRAINING).read_text())["heads"]["direction"]
    assert (len(told["fits"]), told["paths"]) == (folds + 1, times)
    alone = json.loads((home / paths.VERDICT).read_text())
    (order,) = [each for each in alone["conditions"] if each["name"] == "chronological"]
    assert (alone["outcome"], order["passed"]) == ("observe", False)
    assert "trained on candles later than their tests too" in alone["sentence"]
    card = json.loads((home / paths.HEADS).read_text())["direction"]
    for name in ("brier_skill", "log_loss", "direction_skill"):
        assert card["metrics"][name]["value"] == pytest.approx(card["scores"][name], rel=1e-4)
        assert ("spread" in card["metrics"][name]) == (times > 1)
    page = parse((home / paths.REPORT).read_text())
    assert "trained on later candles too" in page.all("p", "plain")[0].text
    assert ("Over paths" in section_of(page, "every").text) == (times > 1)
    section = section_of(page, "folds")
    lede = section.all("p", "lede")[0].text
    assert f"{folds} tests, " in lede
    assert "how well the method learns" in lede
    assert ("means over as many paths" in lede) == (times > 1)
    (chart,) = section.all("svg", "map")
    groups = [each for each in chart.inside if each.name == "g"]
    for group, fit in zip(groups, told["fits"], strict=True):
        drawn = {kind: len(group.all("rect", kind)) for kind in ("train", "test", "purge")}
        if "test_blocks" in fit:
            kinds = {"train": "train", "test": "test", "purge": "purged"}
            assert drawn == {kind: len(fit[f"{key}_blocks"]) for kind, key in kinds.items()}
