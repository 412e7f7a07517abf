from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import torch

from pipeline.errors import DataError
from pipeline.models import tcn
from pipeline.models.base import FeatureTable, Samples
from pipeline.models.network_training import Training, cut_in_time
from pipeline.models.onnx_graph import open_session, run_graph
from pipeline.models.tcn import FittedTcn, Tcn
from pipeline.models.tcn_graph import build_tcn
from pipeline.models.tcn_network import TcnNetwork, TcnShape, distances_of, new_tcn
from pipeline.models.tcn_training import Stretched
from pipeline.models.windows import gather

HOUR = pd.Timedelta(hours=1)
LOOKBACK, DELAY = 6, 5
SHAPE = TcnShape(channels=16, dropout=0.1)
QUICK = Training(max_epochs=2, batch=32, learning_rate=0.01)
MODEL = Tcn(lookback=LOOKBACK, stretch=8, network=SHAPE, training=QUICK)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def samples(rows: int = 700, seed: int = 1, hole: int = 0) -> Samples:
    """Labels that the first column told `DELAY` candles before; `hole` candles are missing."""
    chance = np.random.default_rng(seed)
    time = pd.date_range("2025-01-01", periods=rows + hole, freq="h", tz="UTC", unit="ms")
    time = time.delete(np.arange(rows // 2, rows // 2 + hole))
    index = pd.MultiIndex.from_product([["KRW-SOL"], time], names=["market", "time"])
    values = chance.normal([0, 100, -5], [1, 10, 0.1], (rows, 3))
    chosen = np.arange(LOOKBACK - 1, rows)
    if hole:
        chosen = chosen[(chosen < rows // 2) | (chosen >= rows // 2 + LOOKBACK - 1)]
    return Samples(
        table=FeatureTable(("rsi", "close", "atr"), values, index),
        rows=chosen,
        label=np.searchsorted([-0.43, 0.43], values[chosen - DELAY, 0]).astype("int8"),
        weight=chance.uniform(0.2, 1, len(chosen)),
        ends_at=time[chosen] + 5 * HOUR,
        classes=("sell", "hold", "buy"),
    )


def network(lookback: int, shape: TcnShape = SHAPE) -> TcnNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        made = new_tcn(shape, lookback, 3, np.full(3, 1 / 3))
        with torch.no_grad():
            made.parts["head"].weight.normal_()
    made.parts.eval()
    return made


def with_values(given: Samples, values: Any) -> Samples:
    return dataclasses.replace(given, table=dataclasses.replace(given.table, values=values))


@pytest.mark.parametrize("lookback", [2, 3, 6, 7, 24, 100])
def test_the_newest_candle_sees_its_lookback_and_nothing_beyond(lookback: int) -> None:
    assert sum(distances_of(lookback)) == lookback - 1
    candles = torch.randn(1, lookback + 20, 3, generator=torch.Generator().manual_seed(1))
    candles.requires_grad_()
    found = network(lookback).logits(candles)
    assert found.shape == (1, 21, 3)
    (seen,) = torch.autograd.grad(found[0, 10].square().sum(), candles)
    touched = np.flatnonzero(seen.abs().sum(dim=2)[0].numpy())
    np.testing.assert_array_equal(touched, np.arange(10, 10 + lookback))


def test_dense_and_windowed_evaluation_agree() -> None:
    values = np.random.default_rng(2).normal(size=(400, 3)).astype("float32")
    made = network(24)
    windows = gather(values, np.arange(23, 400), 24)
    with torch.no_grad():
        dense = made.logits(torch.from_numpy(values[None]))[0].numpy()
        windowed = made.logits(torch.from_numpy(windows))[:, 0].numpy()
    np.testing.assert_allclose(dense, windowed, rtol=0, atol=1e-6)
    session = open_session(build_tcn(made.weights(), made.distances))
    np.testing.assert_allclose(run_graph(session, values), dense, rtol=0, atol=1e-5)
    for row in (0, 1, 200, 376):
        one = run_graph(session, windows[row])
        assert one.tobytes() == run_graph(session, values)[row : row + 1].tobytes()


@pytest.mark.parametrize("channels", [5, 16, 128])
def test_an_answer_does_not_depend_on_what_else_is_asked(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, once = TcnShape(channels=channels), QUICK.model_copy(update={"max_epochs": 1})
    given = samples(hole=3)
    fitted = MODEL.model_copy(update={"network": shape, "training": once}).fit(given, rng())
    whole = fitted.predict_proba(given.table, given.rows)
    shuffled = np.random.default_rng(4).permutation(len(given.rows))
    again = fitted.predict_proba(given.table, given.rows[shuffled])
    assert again.tobytes() == whole[shuffled].tobytes()
    monkeypatch.setattr(tcn, "AT_ONCE", 17)
    assert fitted.predict_proba(given.table, given.rows).tobytes() == whole.tobytes()
    for place in (0, 344, 345, 351, len(given.rows) - 1):
        end = int(given.rows[place]) + 1
        tail = slice(end - LOOKBACK, end)
        table = FeatureTable(given.table.columns, given.table.values[tail], given.table.index[tail])
        single = fitted.predict_proba(table, np.array([LOOKBACK - 1]))
        assert single.tobytes() == whole[place : place + 1].tobytes()


def test_later_rows_change_nothing_earlier() -> None:
    given = samples()
    fitted = MODEL.fit(given, rng())
    before = fitted.predict_proba(given.table, given.rows)
    for first in (100, 400, 699):
        values = given.table.values.copy()
        values[first:] += 50.0
        after = fitted.predict_proba(with_values(given, values).table, given.rows)
        same = given.rows < first
        assert after[same].tobytes() == before[same].tobytes()
        assert not np.array_equal(after[~same], before[~same])


def test_what_lies_candles_back_is_learnt() -> None:
    training = Training(max_epochs=8, batch=64, learning_rate=0.01)
    able = MODEL.model_copy(update={"training": training})
    given, unseen = samples(2400), samples(400, seed=2)
    found = able.fit(given, rng()).predict_proba(unseen.table, unseen.rows)
    assert (found.argmax(axis=1) == unseen.label).mean() > 0.6


def test_a_stretch_over_a_hole_learns_from_whole_windows_alone() -> None:
    """Candles before a hole are in no window after it: they may be anything."""
    given = samples(hole=3)
    part = Stretched(LOOKBACK, 8, SHAPE).part(given, given.table.values.astype("float32"))
    assert sorted(part.places[part.places >= 0].tolist()) == list(range(len(given.rows)))
    made = network(LOOKBACK)
    scaled = given.table.values.astype("float32")
    windows = torch.from_numpy(gather(scaled, given.rows, LOOKBACK))
    with torch.no_grad():
        told = torch.nn.functional.cross_entropy(
            made.logits(windows)[:, 0],
            torch.from_numpy(given.label.astype("int64")),
            reduction="none",
        ).numpy()
        found = part.loss(made, np.arange(part.units)).numpy()
    np.testing.assert_allclose(found, told * given.weight / given.weight.mean(), rtol=1e-4)


def test_a_window_over_a_hole_is_refused() -> None:
    given = samples(hole=3)
    fitted = MODEL.fit(given, rng())
    with pytest.raises(DataError, match="a hole"):
        fitted.predict_proba(given.table, np.array([351]))
    broken = dataclasses.replace(given, rows=np.append(given.rows[:-1], 351))
    with pytest.raises(DataError, match="a hole"):
        MODEL.fit(broken, rng())


def test_the_validation_loss_is_the_predictions_own() -> None:
    given = samples()
    fitted: FittedTcn = MODEL.fit(given, rng())
    _, tail = cut_in_time(given, 0.85, "")
    probability = fitted.predict_proba(tail.table, tail.rows)
    told = -np.log(probability[np.arange(len(tail.rows)), tail.label])
    expected = np.average(told, weights=tail.weight)
    assert fitted.log.best_validation_loss == pytest.approx(expected, rel=1e-5)


def test_half_precision_trains_and_predicts_in_full() -> None:
    given = samples(300)
    halves = QUICK.model_copy(update={"precision": "bf16"})
    one = MODEL.fit(given, rng())
    other = MODEL.model_copy(update={"training": halves}).fit(given, rng())
    found = [fitted.predict_proba(given.table, given.rows) for fitted in (one, other)]
    assert 0 < np.abs(found[0] - found[1]).max() < 0.1


def test_torch_is_left_as_it_was() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    MODEL.fit(samples(300), rng())
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_the_graph_is_valid() -> None:
    written = build_tcn(network(24).weights(), distances_of(24))
    onnx.checker.check_model(onnx.load_from_string(written), full_check=True)
    assert build_tcn(network(24).weights(), distances_of(24)) == written
