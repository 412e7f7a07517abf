from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.errors import ConfigError, DataError
from pipeline.models import lstm, lstm_lgbm, network_training
from pipeline.models.base import FeatureTable, Samples
from pipeline.models.lightgbm import LightGBM
from pipeline.models.logistic import Logistic
from pipeline.models.lstm import Lstm
from pipeline.models.lstm_lgbm import LstmLgbm
from pipeline.models.lstm_network import Shape, new_network
from pipeline.models.network_training import LEAST, Training, cut_in_time
from pipeline.models.training_log import TrainingLog
from tests.conftest import CHECKOUT

HOUR = pd.Timedelta(hours=1)
LOOKBACK, DELAY = 6, 3
SHAPE = Shape(hidden=16, layers=2, dense=16, embedding=8, dropout=0.1)
QUICK = Training(max_epochs=2, batch=32, learning_rate=0.01)
TREES = LightGBM(
    n_estimators=8,
    learning_rate=0.3,
    num_leaves=7,
    max_depth=3,
    min_data_in_leaf=5,
    feature_fraction=1.0,
    bagging_fraction=1.0,
    bagging_freq=0,
    lambda_l2=1.0,
)
LSTM = Lstm(lookback=LOOKBACK, network=SHAPE, training=QUICK)
BOTH = LstmLgbm(lookback=LOOKBACK, lstm_share=0.6, network=SHAPE, training=QUICK, trees=TREES)
LINEAR = Logistic(penalty=1.0, max_iter=1000)
MODELS = [pytest.param(LSTM, id="lstm"), pytest.param(BOTH, id="lstm_lgbm")]


def samples(rows: int = 700, seed: int = 1) -> Samples:
    """Labels that the first column told `DELAY` candles before; the newest row tells nothing."""
    generator = np.random.default_rng(seed)
    time = pd.date_range("2025-01-01", periods=rows, freq="h", tz="UTC", unit="ms")
    index = pd.MultiIndex.from_product([["KRW-SOL"], time], names=["market", "time"])
    values = generator.normal([0, 100, -5], [1, 10, 0.1], (rows, 3))
    chosen = np.arange(LOOKBACK - 1, rows)
    told = values[chosen - DELAY, 0]
    return Samples(
        table=FeatureTable(("rsi", "close", "atr"), values, index),
        rows=chosen,
        label=np.searchsorted([-0.43, 0.43], told).astype("int8"),
        weight=generator.uniform(0.2, 1, len(chosen)),
        ends_at=time[chosen] + 5 * HOUR,
        classes=("sell", "hold", "buy"),
    )


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def changed(given: Samples, where: np.ndarray, **values: Any) -> Samples:
    """Other labels or features at some samples."""
    label, table = given.label.copy(), given.table.values.copy()
    if "label" in values:
        label[where] = (label[where] + values["label"]) % 3
    if "feature" in values:
        table[given.rows[where]] += values["feature"]
    return dataclasses.replace(
        given, label=label, table=dataclasses.replace(given.table, values=table)
    )


@pytest.mark.parametrize("model", MODELS)
def test_what_lies_candles_back_is_learnt(model: Any) -> None:
    training = Training(max_epochs=3, batch=16, learning_rate=0.02)
    able = model.model_copy(update={"training": training})
    given, unseen = samples(2400), samples(400, seed=2)
    fitted = able.fit(given, rng())
    found = fitted.predict_proba(unseen.table, unseen.rows)
    assert (found.argmax(axis=1) == unseen.label).mean() > 0.6
    blind = LINEAR.fit(given, rng()).predict_proba(unseen.table, unseen.rows)
    assert (blind.argmax(axis=1) == unseen.label).mean() < 0.45


# who learns from which rows


def test_the_network_never_meets_the_rows_of_the_trees() -> None:
    given = samples()
    count = len(given.rows)
    cut = round(count * 0.6)
    before = BOTH.fit(given, rng()).save()
    for change in ({"label": 1}, {"feature": 50.0}):
        after = BOTH.fit(changed(given, np.arange(cut, count), **change), rng()).save()
        assert after["network.onnx"] == before["network.onnx"]
        assert after["scaler.json"] == before["scaler.json"]
        assert after["trees.txt"] != before["trees.txt"]


def test_rows_between_network_and_trees_are_purged() -> None:
    given = samples()
    cut = round(len(given.rows) * 0.6)
    purged = np.arange(cut - 4, cut)
    before = BOTH.fit(given, rng()).save()
    assert BOTH.fit(changed(given, purged, label=1), rng()).save() == before
    kept = BOTH.fit(changed(given, purged - 1, label=1), rng()).save()
    assert kept["training.json"] != before["training.json"]


def test_the_scale_is_measured_on_training_rows_alone() -> None:
    given = samples()
    older, _ = cut_in_time(given, 0.6, "")
    train, validation = cut_in_time(older, 0.85, "")
    for model, expected in ((BOTH, train), (LSTM, cut_in_time(given, 0.85, "")[0])):
        scaler = model.fit(given, rng()).network.scaler
        np.testing.assert_array_equal(scaler.mean, expected.values.mean(axis=0))
        np.testing.assert_array_equal(scaler.scale, expected.values.std(axis=0))
    assert train.ends_at.max() <= validation.time.min()


def test_the_parts_are_told() -> None:
    given = samples()
    count = len(given.rows)
    log = BOTH.fit(given, rng()).log
    part = round(count * 0.6)
    assert log.trees_rows == count - part
    assert log.rows == round((part - 4) * 0.85) - 4
    assert log.validation_rows == part - 4 - round((part - 4) * 0.85)
    log = LSTM.fit(given, rng()).log
    assert (log.rows, log.trees_rows) == (round(count * 0.85) - 4, 0)
    assert log.epochs == len(log.training_losses) == len(log.validation_losses) == 2
    assert log.best_validation_loss == min(log.validation_losses)
    assert log.validation_losses[log.best_epoch - 1] == log.best_validation_loss
    assert TrainingLog.read(log.save()) == log


def test_a_fit_trains_one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = lstm_lgbm.train_network

    def counted(given: Samples, *rest: Any) -> Any:
        calls.append(len(given.rows))
        return real(given, *rest)

    monkeypatch.setattr(lstm_lgbm, "train_network", counted)
    BOTH.fit(samples(), rng())
    assert len(calls) == 1


@pytest.mark.parametrize("model", [*MODELS, pytest.param(LINEAR, id="logistic")])
def test_two_markets_are_cut_by_time_and_not_by_row(model: Any) -> None:
    given = samples(400)
    other = pd.MultiIndex.from_product(
        [["KRW-XRP"], given.table.index.get_level_values("time")], names=["market", "time"]
    )
    index = given.table.index.append(other)
    table = FeatureTable(given.table.columns, np.tile(given.table.values, (2, 1)), index)
    both = Samples(
        table=table,
        rows=np.concatenate([given.rows, given.rows + 400]),
        label=np.tile(given.label, 2),
        weight=np.tile(given.weight, 2),
        ends_at=given.ends_at.append(given.ends_at),
        classes=given.classes,
    )
    older, newer = cut_in_time(both, 0.6, "")
    assert older.ends_at.max() <= newer.time.min()
    assert set(older.index.get_level_values("market")) == {"KRW-SOL", "KRW-XRP"}
    fitted = model.fit(both, rng())
    found = fitted.predict_proba(table, both.rows)
    np.testing.assert_array_equal(found[: len(given.rows)], found[len(given.rows) :])


# how the training ends


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Validation losses, one per epoch, instead of measured ones."""
    losses: list[float] = []
    told: Iterator[float] = iter(losses)
    monkeypatch.setattr(network_training, "_evaluate", lambda *_: next(told))
    return losses


def scripted_fit(**training: Any) -> Any:
    settings = QUICK.model_copy(update=training)
    return LSTM.model_copy(update={"training": settings}).fit(samples(300), rng())


def test_the_best_epoch_is_kept(scripted: list[float]) -> None:
    scripted += [1.0, 0.5, 0.9, 1.0, 0.5]
    three, two = scripted_fit(max_epochs=3), scripted_fit(max_epochs=2)
    assert (three.log.epochs, three.log.best_epoch, two.log.best_epoch) == (3, 2, 2)
    assert three.save()["network.onnx"] == two.save()["network.onnx"]
    assert three.log.best_validation_loss == 0.5


def test_the_training_stops_early(scripted: list[float]) -> None:
    scripted += [1.0, 0.9, 0.9, 0.95, 0.1]
    log = scripted_fit(max_epochs=5, patience=2).log
    assert (log.epochs, log.best_epoch) == (4, 2)


def test_a_plateau_makes_smaller_steps(scripted: list[float]) -> None:
    scripted += [1.0, 2.0, 0.9] * 2
    tiny = scripted_fit(max_epochs=3, plateau_patience=0, plateau_factor=1e-6).save()
    usual = scripted_fit(max_epochs=3, plateau_patience=1, plateau_factor=1e-6).save()
    assert tiny["network.onnx"] != usual["network.onnx"]


def test_long_gradients_are_cut() -> None:
    found = [
        scripted_fit(max_epochs=1, gradient_norm=norm).save()["network.onnx"]
        for norm in (1e-3, 1e3, 1e6)
    ]
    assert found[0] != found[1] == found[2]


def test_the_validation_loss_is_the_predictions_own() -> None:
    given = samples()
    fitted = LSTM.fit(given, rng())
    _, tail = cut_in_time(given, 0.85, "")
    probability = fitted.predict_proba(tail.table, tail.rows)
    told = -np.log(probability[np.arange(len(tail.rows)), tail.label])
    expected = np.average(told, weights=tail.weight)
    assert fitted.log.best_validation_loss == pytest.approx(expected, rel=1e-5)


def test_a_loss_that_is_never_finite_is_refused(scripted: list[float]) -> None:
    scripted += [float("nan")] * 2
    with pytest.raises(DataError, match=r"not finite in any epoch.*nan.*learning_rate"):
        scripted_fit(max_epochs=2)


def test_dropout_takes_its_share_and_keeps_the_mean() -> None:
    with torch.random.fork_rng(devices=[]):
        network = new_network(Shape(hidden=8, dropout=0.3), 3, np.full(3, 1 / 3))
    units = torch.full((101, 7, 91), 2.0)
    found = network._thinned(units, rng()).numpy()
    assert (found == 0).mean() == pytest.approx(0.3, abs=0.005)
    assert np.unique(found[found > 0]) == pytest.approx([2 / 0.7], rel=1e-4)
    assert ((found == 0).mean(axis=(1, 2)) > 0.2).all()
    assert torch.equal(network._thinned(units, None), units)
    half = network._thinned(units.to(torch.bfloat16), rng())
    assert half.dtype == torch.bfloat16
    np.testing.assert_array_equal(half.float().numpy() == 0, found == 0)


def test_dropout_is_for_training_alone() -> None:
    given = samples(300)
    saved = []
    for share in (0.0, 0.6):
        shape = SHAPE.model_copy(update={"dropout": share})
        fitted = LSTM.model_copy(update={"network": shape}).fit(given, rng())
        found = [fitted.predict_proba(given.table, given.rows) for _ in range(2)]
        assert found[0].tobytes() == found[1].tobytes()
        saved.append(fitted.save()["network.onnx"])
    assert saved[0] != saved[1]


# chance, threads, places


def test_torch_is_left_as_it_was() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(3)
    try:
        first = LSTM.fit(samples(300), rng()).save()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(99)
        assert LSTM.fit(samples(300), rng()).save() == first
    assert LSTM.fit(samples(300), np.random.default_rng(8)).save() != first


@pytest.mark.parametrize("model", MODELS)
def test_only_the_proportion_of_weights_matters(model: Any) -> None:
    given = samples(300)
    first = model.fit(given, rng()).save()
    doubled = dataclasses.replace(given, weight=given.weight * 2)
    assert model.fit(doubled, rng()).save() == first
    turned = dataclasses.replace(given, weight=given.weight[::-1].copy())
    assert model.fit(turned, rng()).save()["network.onnx"] != first["network.onnx"]


def test_half_precision_trains_and_predicts_in_full() -> None:
    given = samples()
    half = LSTM.model_copy(update={"training": QUICK.model_copy(update={"precision": "bf16"})})
    one, other = half.fit(given, rng()), LSTM.fit(given, rng())
    assert half.fit(given, rng()).save() == one.save()
    assert one.save()["network.onnx"] != other.save()["network.onnx"]
    found = [fitted.predict_proba(given.table, given.rows) for fitted in (one, other)]
    assert 0 < np.abs(found[0] - found[1]).max() < 0.2


# what is refused


@pytest.mark.parametrize("model", MODELS)
def test_a_hole_is_refused_in_training_and_after(model: Any) -> None:
    given = samples()
    fitted = model.fit(given, rng())
    kept = np.delete(np.arange(700), [300, 301])
    table = FeatureTable(given.table.columns, given.table.values[kept], given.table.index[kept])
    with pytest.raises(DataError, match=r"13 18:00.*hole, candle 2025-01-13T13:00:00"):
        fitted.predict_proba(table, np.array([301 - 1 + LOOKBACK - 2]))
    fitted.predict_proba(table, np.array([299, 300 + LOOKBACK - 1]))
    broken = dataclasses.replace(given, table=table, rows=np.minimum(given.rows, 697))
    with pytest.raises(DataError, match="a window is not whole"):
        model.fit(broken, rng())
    with pytest.raises(DataError, match="1 earlier, the table starts at 2025-01-01T00:00"):
        fitted.predict_proba(given.table, np.array([LOOKBACK - 2]))


@pytest.mark.parametrize("model", MODELS)
def test_candles_of_another_timeframe_are_refused(model: Any) -> None:
    given = samples()
    fitted = model.fit(given, rng())
    table = FeatureTable(given.table.columns, given.table.values[::4], given.table.index[::4])
    with pytest.raises(DataError, match="a window is not whole"):
        fitted.predict_proba(table, np.array([20]))


@pytest.mark.parametrize("model", MODELS)
def test_too_few_rows_are_refused(model: Any) -> None:
    few = samples(LEAST + LOOKBACK)
    with pytest.raises(DataError, match=r"too few rows.*at least 10 of each"):
        model.fit(few, rng())
    with pytest.raises(DataError, match="too few rows"):
        model.fit(few.take(np.array([], dtype=int)), rng())


@pytest.mark.parametrize("model", [*MODELS, pytest.param(LINEAR, id="logistic")])
def test_what_is_no_number_is_not_learnt_from(model: Any) -> None:
    given = samples(300)
    given.table.values[7, 2] = np.nan
    with pytest.raises(DataError, match="column atr"):
        model.fit(given, rng())


@pytest.mark.parametrize(
    ("field", "value"), [("dropout", 1.0), ("hidden", 0), ("layers", 5), ("units", 3)]
)
def test_a_shape_out_of_range_is_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"network.{field}"):
        Lstm.parse({"network": {field: value}}, "model=lstm")


# the stored form


@pytest.mark.parametrize("model", MODELS)
def test_batch_and_single_rows_agree_to_the_last_bit(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = samples()
    fitted = model.fit(given, rng())
    whole = fitted.predict_proba(given.table, given.rows)
    sizes: list[int] = []
    real = lstm.run_graph

    def seen(session: Any, batch: Any) -> Any:
        sizes.append(len(batch))
        return real(session, batch)

    monkeypatch.setattr(lstm, "run_graph", seen)
    monkeypatch.setattr(lstm, "AT_ONCE", 100)
    assert fitted.predict_proba(given.table, given.rows).tobytes() == whole.tobytes()
    assert sizes == [100] * 6 + [95]
    for row in (0, 350, 694):
        end = int(given.rows[row]) + 1
        tail = FeatureTable(
            given.table.columns,
            given.table.values[end - LOOKBACK : end],
            given.table.index[end - LOOKBACK : end],
        )
        single = fitted.predict_proba(tail, np.array([LOOKBACK - 1]))
        assert single.tobytes() == whole[row : row + 1].tobytes()


def test_the_files_of_a_model() -> None:
    files = BOTH.fit(samples(), rng()).save()
    assert set(files) == {
        "network.onnx",
        "scaler.json",
        "model.json",
        "training.json",
        "trees.txt",
    }
    assert json.loads(files["model.json"]) == {
        "columns": ["rsi", "close", "atr"],
        "classes": ["sell", "hold", "buy"],
        "lookback": LOOKBACK,
        "step_ms": 3_600_000,
    }


SERVE = """
import json, pathlib, sys
import numpy, pandas
from pipeline.models.base import FeatureTable
from pipeline.models.MODULE import MODEL
told = json.loads(pathlib.Path("declaration.json").read_text())
files = {path.name: path.read_bytes() for path in pathlib.Path("files").iterdir()}
frame = pandas.read_parquet("table.parquet").set_index(["market", "time"])
fitted = MODEL.parse(told, "").load(files)
found = fitted.predict_proba(FeatureTable.from_frame(frame), numpy.array([50, 60]))
heavy = sorted({"torch", "onnx", "sklearn.linear_model"} & set(sys.modules))
print(json.dumps([found.tolist(), heavy]))
"""


@pytest.mark.parametrize("model", [*MODELS, pytest.param(LINEAR, id="logistic")])
def test_serving_needs_no_training_library(model: Any, tmp_path: Path) -> None:
    given = samples(300)
    fitted = model.fit(given, rng())
    (tmp_path / "files").mkdir()
    for name, content in fitted.save().items():
        (tmp_path / "files" / name).write_bytes(content)
    (tmp_path / "declaration.json").write_text(json.dumps(model.model_dump(mode="json")))
    frame = pd.DataFrame(given.table.values, given.table.index, list(given.table.columns))
    frame.reset_index().to_parquet(tmp_path / "table.parquet")
    module = type(model).__module__.rpartition(".")[2]
    script = SERVE.replace("MODULE", module).replace("MODEL", type(model).__name__)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    found, heavy = json.loads(done.stdout)
    assert heavy == []
    np.testing.assert_array_equal(found, fitted.predict_proba(given.table, np.array([50, 60])))


# logistic


@pytest.mark.parametrize("classes", [2, 3])
def test_coefficients_say_what_scikit_learn_says(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression

    given = samples()
    label = (given.values[:, 0] > 0).astype("int8") + (given.values[:, 0] > 1) * (classes - 2)
    given = dataclasses.replace(given, label=label.astype("int8"), classes=given.classes[:classes])
    found = LINEAR.fit(given, rng()).predict_proba(given.table, given.rows)
    scaled = (given.values - given.values.mean(axis=0)) / given.values.std(axis=0)
    reference = LogisticRegression(C=1.0, max_iter=1000)
    reference.fit(scaled, label, sample_weight=given.weight / given.weight.mean())
    np.testing.assert_allclose(found, reference.predict_proba(scaled), rtol=0, atol=1e-9)
    assert (found.argmax(axis=1) == label).mean() > 0.9


def test_a_class_that_never_happened_has_no_probability() -> None:
    given = samples()
    absent = dataclasses.replace(given, label=np.where(given.label == 1, 2, given.label))
    found = LINEAR.fit(absent, rng()).predict_proba(given.table, given.rows)
    assert (found[:, 1] == 0).all()
    assert (found[:, [0, 2]] > 0).all()
    alone = dataclasses.replace(given, label=np.full(len(given.rows), 2, "int8"))
    found = LINEAR.fit(alone, rng()).predict_proba(given.table, given.rows)
    np.testing.assert_array_equal(found, np.tile([0.0, 0.0, 1.0], (len(found), 1)))


def test_the_solver_uses_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_info, threadpool_limits

    seen: list[int] = []
    real = LogisticRegression.fit

    def watched(*given: Any, **more: Any) -> Any:
        seen.extend(pool["num_threads"] for pool in threadpool_info())
        return real(*given, **more)

    monkeypatch.setattr(LogisticRegression, "fit", watched)
    with threadpool_limits(2):
        LINEAR.fit(samples(300), rng())
    assert set(seen) == {1}
