from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.build import TARGET, build
from pipeline.configuration.compose import compose_run
from pipeline.configuration.planning import plan_run
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.metrics import score_head, with_outcomes
from pipeline.experiments.scoring import Frames, head_rows, running_losses
from pipeline.fitting.training import labelled_samples, train_head
from pipeline.frames import key_by_market, read_frame
from pipeline.labels.exit import Exit
from pipeline.labels.high_vol import HighVol
from pipeline.labels.learned import LearnedThreshold
from pipeline.live.loading import unpack
from pipeline.live.predictor import Predictor, Serving
from pipeline.market.trades import TradeRule
from pipeline.models.base import UNLEARNED, Samples
from pipeline.models.bundle import FILE
from pipeline.models.lightgbm import LightGBM
from pipeline.runner import Context
from pipeline.stages import paths, train
from registry.manifest import VerifiedBundle
from registry.slots import Slot
from tests.conftest import AS_OF
from tests.oracles.walks import random_walk
from tests.runs import CONF, run_stages
from tests.spine import chosen, planned
from tests.unit.test_training import Recorder, TwoFolds

LABEL = HighVol(measure="range", horizon_hours=6, quantile=0.75)
MARKET = "KRW-SOL"
TREES = {"model.n_estimators": 15, "model.learning_rate": 0.1, "recipe.history_days": 20}


class Binary(Recorder):
    """Remembers its fits; answers two classes."""

    def fit(self, samples: Samples, rng: np.random.Generator) -> Any:
        fitted = super().fit(samples, rng)
        fitted.predict_proba = lambda table, rows: np.tile([0.75, 0.25], (len(rows), 1))  # type: ignore[method-assign]
        return fitted


def growing(rows: int = 600) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Noise as features; outcomes of a market that grows wilder, so that every fold differs."""
    generator = np.random.default_rng(4)
    candles = random_walk(generator, rows)
    candles["high"] *= 1 + np.linspace(0, 0.05, rows)
    noise = pd.DataFrame(generator.normal(size=(rows, 3)), candles.index, list("abc"))
    labels = LABEL.compute(candles, "1h")
    return key_by_market(noise, MARKET), key_by_market(labels, MARKET)


def samples_of(frames: tuple[pd.DataFrame, pd.DataFrame]) -> Samples:
    return labelled_samples(*frames, LABEL.classes, LABEL)


def test_each_fold_learns_from_its_training_rows_alone() -> None:
    features, labels = growing()
    rows, recorder = samples_of((features, labels)), Binary()
    trained = train_head(rows, recorder, TwoFolds(), seed=7)
    outcome = labels["outcome"].to_numpy()
    assert (rows.label == UNLEARNED).all(), "no row has a class before something is learned"
    everything = float(np.quantile(outcome, 0.75))
    for fold, rule, seen in zip(trained.folds, trained.rules, recorder.fits, strict=False):
        limit = float(np.quantile(outcome[fold.train], 0.75))
        assert rule == LearnedThreshold(threshold=limit)
        assert limit < everything, "the data must tell one from the other"
        np.testing.assert_array_equal(seen.label, outcome[fold.train] > limit)
        judged = trained.predictions.loc[rows.index[fold.test], "label"]
        np.testing.assert_array_equal(judged, outcome[fold.test] > limit)
        assert (judged != (outcome[fold.test] > everything)).any(), "a peek would go unseen"
    assert trained.rules[-1] == LearnedThreshold(threshold=everything)
    np.testing.assert_array_equal(recorder.fits[-1].label, outcome > everything)


def test_what_happens_in_a_test_teaches_its_fold_nothing() -> None:
    features, labels = growing()
    trees = LightGBM(
        n_estimators=10,
        learning_rate=0.1,
        num_leaves=7,
        max_depth=3,
        min_data_in_leaf=20,
        feature_fraction=1.0,
        bagging_fraction=1.0,
        bagging_freq=0,
        lambda_l2=1.0,
    )
    honest = train_head(samples_of((features, labels)), trees, TwoFolds(), seed=7)
    lied = labels.copy()
    tested = honest.folds[-1].test
    lied.iloc[tested, lied.columns.get_loc("outcome")] *= 100
    again = train_head(samples_of((features, lied)), trees, TwoFolds(), seed=7)
    assert again.rules[:-1] == honest.rules[:-1]
    assert again.rules[-1] != honest.rules[-1]
    told = [column for column in honest.predictions if column != "label"]
    pd.testing.assert_frame_equal(again.predictions[told], honest.predictions[told])


def test_predictions_are_judged_by_their_own_folds_classes() -> None:
    features, labels = growing()
    trained = train_head(samples_of((features, labels)), Binary(), TwoFolds(), seed=7)
    joined = with_outcomes(trained.predictions, labels)
    pd.testing.assert_series_equal(joined["label"], trained.predictions["label"])
    assert joined["ends_at"].tolist() == labels.loc[joined.index, "ends_at"].tolist()
    scores = score_head(joined, LABEL.classes, "1h")
    assert 0 < scores["accuracy"] < 1
    assert "direction_skill" not in scores


def test_fixed_labels_stand_where_they_stood() -> None:
    _, labels = growing()
    fixed = labels.rename(columns={"outcome": "label"})
    predictions = fixed[[]].assign(fold=0).iloc[:50]
    joined = with_outcomes(predictions, fixed)
    assert list(joined) == ["fold", "label", "ends_at"]


def test_a_run_learns_tells_and_keeps_a_threshold(home: Path) -> None:
    words = {"recipe": "demo", "as_of": AS_OF, "label": "high_vol", **TREES}
    flat = run_stages(words)
    assert 0 < flat["balanced_accuracy"] <= 1
    labels = read_frame(paths.LABELS / "direction.parquet")
    assert list(labels) == ["outcome", "ends_at", "weight"]
    refit = the_report_tells_every_fits_threshold()
    the_bundle_keeps_it(refit)
    tuning_scores_it_likewise(words, labels, flat["log_loss"])


def the_report_tells_every_fits_threshold() -> Any:
    head = json.loads(paths.TRAINING.read_text())["heads"]["direction"]
    fits = {fit["fit"]: fit for fit in head["fits"]}
    limits = [fit["learned"]["threshold"] for fit in fits.values()]
    assert len(set(limits)) == len(limits) > 1
    for fit in fits.values():
        assert fit["train_shares"]["high"] == pytest.approx(0.2, abs=0.01)
    assert "test_shares" in fits["fold 0"]
    assert "test_shares" not in fits["refit"]
    assert head["class_shares"] == fits["refit"]["train_shares"]
    page = paths.TRAINING_TABLE.read_text()
    assert f"threshold {limits[0]:.4g}"[:14] in page
    assert "| calm 80." in page or "| calm 79." in page
    return fits["refit"]["learned"]


def the_bundle_keeps_it(learned: Any) -> None:
    files = {
        path.relative_to(paths.BUNDLE).as_posix(): path.read_bytes()
        for path in paths.BUNDLE.rglob("*")
        if path.is_file()
    }
    assert json.loads(files[FILE])["heads"]["direction"]["learned"] == learned
    assert unpack(files).heads["direction"].learned == learned
    verified = VerifiedBundle("v0001", "digest", files)
    slot, serving = Slot("demo", "SIM-BTC"), Serving("trade", 0.5, AS_OF)
    with pytest.raises(ConfigError, match=r"no head of this version says sell, hold or buy"):
        Predictor.load(slot, verified, serving, ()).predict(
            random_walk(np.random.default_rng(1), 600)
        )


def tuning_scores_it_likewise(words: Any, labels: pd.DataFrame, log_loss: float) -> None:
    plan = plan_run(compose_run(chosen(*(f"{key}={value}" for key, value in words.items())), CONF))
    features = read_frame(paths.FEATURES / "hourly46.parquet")
    rows = head_rows(plan, Frames({"hourly46": features}, {"direction": labels}))
    *_, (last, _) = running_losses(plan, rows)
    assert last == pytest.approx(log_loss, rel=1e-5)


@pytest.mark.parametrize("label", ["short_entry", "triple_barrier", "long_exit"])
def test_every_label_runs_from_candles_to_a_verdict(label: str, home: Path) -> None:
    words = {"recipe": "demo", "as_of": AS_OF, "label": label, "model": "majority"}
    flat = run_stages({**words, "recipe.history_days": 20})
    assert flat["brier_skill"] == pytest.approx(0, abs=1e-9)
    assert "learned" not in (paths.BUNDLE / FILE).read_text()
    predictions = read_frame(paths.PREDICTIONS / "direction.parquet")
    assert predictions.index.is_unique
    assert ("trade" in predictions.index.names) == (label == "long_exit")
    if label == "long_exit":
        every_row_of_a_trade_with_a_window_is_used()


def every_row_of_a_trade_with_a_window_is_used() -> None:
    labels = read_frame(paths.LABELS / "direction.parquet")
    features = read_frame(paths.FEATURES / "hourly46.parquet")
    with_features = labels.index.droplevel("trade").isin(features.index[23:])
    head = json.loads(paths.TRAINING.read_text())["heads"]["direction"]
    assert head["rows"] == with_features.sum() > 100


def test_the_code_of_a_label_that_learns_belongs_to_training() -> None:
    learning, fixed = planned("label=high_vol"), planned("label=long_entry")
    assert "pipeline.labels.high_vol.HighVol" in learning.targets["train"]
    assert "pipeline.labels.entry.Entry" not in fixed.targets["train"]
    assert "pipeline.labels.entry.Entry" in fixed.targets["labels"]


# rows of trades


def trade_frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features of candles and the labels of the trades over them."""
    candles = random_walk(np.random.default_rng(2), 300)
    rule = TradeRule(side="long", every=4, hold=10, from_candle=1)
    labels = Exit(trades=rule, share=0.8, horizon_candles=3).compute(candles, "1h")
    features = candles[["close", "volume"]].iloc[20:]
    return key_by_market(features, MARKET), key_by_market(labels, MARKET)


def test_every_row_of_a_trade_gets_the_features_of_its_candle() -> None:
    features, labels = trade_frames()
    rows = labelled_samples(features, labels, ("stay", "exit"))
    assert rows.index.names == ["market", "trade", "time"]
    assert rows.index.is_unique
    assert len(rows.rows) > len(features)
    candle = rows.index.droplevel("trade")
    np.testing.assert_array_equal(rows.values, features.loc[candle].to_numpy())
    kept = labels[labels.index.get_level_values("time") >= features.index[0][1]]
    assert rows.index.equals(kept.index)
    np.testing.assert_array_equal(rows.label, kept["label"])


def test_a_row_of_a_trade_ends_a_whole_window_too() -> None:
    features, labels = trade_frames()
    config = train.Config.parse(
        planned("features=entry37", "label=long_exit").stages["train"] | {"lookback": 6}, "train"
    )
    hour, lost = pd.Timedelta(hours=1), features.index[100][1]
    holed = features.drop(index=(MARKET, lost))
    whole, found = (
        train.head_samples(config, Context(()), "direction", each, labels)
        for each in (features, holed)
    )
    gone = whole.index.difference(found.index).get_level_values("time")
    after = {lost + k * hour for k in range(6)}
    assert set(gone) == after & set(whole.time)
    assert len(set(gone)) > 2
    assert whole.time.min() == features.index[5][1]


def test_features_of_trades_join_on_the_trade() -> None:
    _, labels = trade_frames()
    features = pd.DataFrame({"a": np.arange(len(labels), dtype=float)}, labels.index).iloc[7:]
    rows = labelled_samples(features.sample(frac=1, random_state=1), labels, ("stay", "exit"))
    np.testing.assert_array_equal(rows.values[:, 0], np.arange(7, len(labels)))
    assert rows.index.equals(labels.index[7:])


def test_features_of_trades_need_labels_of_trades() -> None:
    candles, labels = trade_frames()
    of_candles = candles.assign(label=0, ends_at=labels["ends_at"].iloc[0], weight=1.0)
    with pytest.raises(DataError, match=r"other keys.*by market, trade, time; expected"):
        labelled_samples(labels[["weight"]], of_candles, ("stay", "exit"))


def test_no_training_row_of_a_trade_reaches_into_the_test() -> None:
    features, labels = trade_frames()
    rows = labelled_samples(features, labels, ("stay", "exit"))
    trained = train_head(rows, Binary(), build_split(), seed=7)
    for fold in trained.folds:
        assert rows.ends_at[fold.train].max() <= rows.time[fold.test].min()
        trades = [set(rows.index[part].droplevel("time")) for part in (fold.train, fold.test)]
        assert not trades[0] & trades[1]
    assert trained.predictions.index.is_unique


def build_split() -> Any:
    return build({TARGET: "pipeline.splits.holdout.Holdout", "test_share": 0.3}, "split")
