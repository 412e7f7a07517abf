"""Class shares by volatility: right about how much price moves, and never let trade."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import DataError
from pipeline.models.base import Samples
from pipeline.models.climatology import SHRUNK, Climatology, FittedClimatology
from tests.discovered import column_samples
from tests.simulated import declared, direction, judged, scored, simulated_samples, walked

MODEL = Climatology(volatility=("nothing", "volume"))


def fit(samples: Samples) -> FittedClimatology:
    return MODEL.fit(samples, np.random.default_rng(0))


def test_shares_are_those_of_each_third() -> None:
    given = column_samples(300)
    fitted = fit(given)
    assert fitted.volatility == "volume"
    volume = given.values[:, 3]
    edges = np.quantile(volume, [1 / 3, 2 / 3])
    assert fitted.terciles == pytest.approx(tuple(edges))
    said = fitted.predict_proba(given.table, given.rows)
    every = np.bincount(given.label, given.weight) / given.weight.sum()
    thirds = [volume <= edges[0], (volume > edges[0]) & (volume <= edges[1]), volume > edges[1]]
    for third in thirds:
        weight = given.weight[third]
        held = np.bincount(given.label[third], weight, 3)
        expected = (held + SHRUNK * every) / (weight.sum() + SHRUNK)
        np.testing.assert_allclose(said[third], np.tile(expected, (third.sum(), 1)))
    assert len(np.unique(said.round(12), axis=0)) == 3


def test_rows_to_be_asked_about_teach_nothing() -> None:
    given = column_samples(400)
    train, asked = given.take(np.arange(250)), given.rows[250:]
    wild = given.table.values.copy()
    wild[asked, 3] *= 100
    other = replace(train, table=replace(given.table, values=wild))
    assert fit(other) == fit(train)
    assert MODEL.load(fit(train).save()) == fit(train)


def test_a_column_that_never_changes_gives_every_row_the_same() -> None:
    given = column_samples(100)
    flat = given.table.values.copy()
    flat[:, 3] = 2.0
    fitted = fit(replace(given, table=replace(given.table, values=flat)))
    assert (
        len(np.unique(fitted.predict_proba(replace(given.table, values=flat), given.rows), axis=0))
        == 1
    )
    assert np.isfinite(fitted.shares).all()


def test_without_a_column_of_volatility_it_says_what_it_looked_for() -> None:
    with pytest.raises(DataError, match=r"one of hlatr, range.*name one in model\.volatility"):
        Climatology(volatility=("hlatr", "range")).fit(column_samples(50), np.random.default_rng(0))


@pytest.mark.parametrize("seed", [1, 2])
def test_it_knows_how_much_moves_and_the_gate_does_not_let_it_trade(seed: int) -> None:
    joined = walked(simulated_samples(6000, 0.3, seed), declared("model", "climatology"))
    assert direction(joined)["brier_skill"] < 0.01
    assert judged(scored(joined)).outcome != "promote"
    assert pd.notna(joined.filter(like="p_")).all(axis=None)
