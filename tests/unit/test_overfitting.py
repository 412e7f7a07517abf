"""How often the best of many is luck: against plain loops, planted luck and planted skill."""

from __future__ import annotations

import hashlib
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from pipeline.config import to_yaml
from pipeline.evaluation.overfitting import loss_overfitting_probability, overfitting_probability
from pipeline.experiments.blocks import BLOCKS, block_starts, block_sums
from pipeline.experiments.overfitting import FEWEST, overfitting, overfitting_of_returns
from pipeline.experiments.study import COMPLETE, PRUNED, ScoredOn, Tried
from pipeline.operations.trials import experiment_returns
from pipeline.operations.trials.experiment_list import Experiment
from pipeline.operations.trials.experiment_returns import overfitting_of
from registry.files import write_atomic
from registry.slots import Slot
from tests.volume import volume

ROWS = 40.0


def by_hand(returns: np.ndarray, blocks: int) -> float:
    """Probability of overfitting, half by half."""
    length = len(returns) // blocks
    parts = np.split(returns[len(returns) - length * blocks :], blocks)
    worse = []
    for chosen in combinations(range(blocks), blocks // 2):
        halves = [
            np.concatenate([part for k, part in enumerate(parts) if (k in chosen) == inside])
            for inside in (True, False)
        ]
        inside, outside = (half.mean(axis=0) / half.std(axis=0) for half in halves)
        share = scipy.stats.rankdata(outside)[inside.argmax()] / (returns.shape[1] + 1)
        worse.append(math.log(share / (1 - share)) <= 0)
    return float(np.mean(worse))


@pytest.mark.parametrize(("rows", "trials", "blocks"), [(100, 7, 6), (83, 4, 8), (200, 2, 4)])
def test_overfitting_is_that_of_a_plain_loop(rows: int, trials: int, blocks: int) -> None:
    for seed in range(5):
        returns = np.random.default_rng(seed).normal(0.0005, 0.01, (rows, trials))
        assert overfitting_probability(returns, blocks) == by_hand(returns, blocks)


def test_luck_overfits_and_skill_does_not() -> None:
    rng = np.random.default_rng(5)
    luck = [overfitting_probability(rng.standard_normal((160, 20)), 8) for _ in range(volume(60))]
    assert np.mean(luck) == pytest.approx(0.5, abs=0.1)
    skilled = rng.standard_normal((800, 20)) + np.eye(20)[3] * 0.3
    assert overfitting_probability(skilled) < 0.05
    same = np.repeat(rng.standard_normal((100, 1)), 3, axis=1)
    assert overfitting_probability(same, 4) == 1.0, "nothing was chosen by merit"


@pytest.mark.parametrize(("shape", "blocks"), [((100, 1), 4), ((100, 3), 5), ((7, 3), 4),
                                               ((100, 3), 0), ((900, 3), 22)])  # fmt: skip
def test_what_cannot_be_cut_is_refused(shape: tuple[int, int], blocks: int) -> None:
    with pytest.raises(ValueError, match="cannot be cut into"):
        overfitting_probability(np.ones(shape), blocks)


def losses_by_hand(losses: np.ndarray, rows: np.ndarray) -> float:
    """The same of losses, whose best is the lowest mean over heads."""
    _, blocks, trials = losses.shape
    worse = []
    for chosen in combinations(range(blocks), blocks // 2):
        half = np.isin(np.arange(blocks), chosen)
        inside, outside = (
            (losses[:, own].sum(axis=1) / rows[:, own].sum(axis=1)[:, None]).mean(axis=0)
            for own in (half, ~half)
        )
        share = scipy.stats.rankdata(-outside)[inside.argmin()] / (trials + 1)
        worse.append(math.log(share / (1 - share)) <= 0)
    return float(np.mean(worse))


def test_overfitting_by_losses_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(7)
    for heads, blocks, trials in ((1, 4, 2), (2, 6, 5), (3, 8, 7)):
        rows = rng.integers(1, 30, (heads, blocks)).astype(float)
        losses = rng.normal(1.0, 0.1, (heads, blocks, trials)) * rows[:, :, None]
        assert loss_overfitting_probability(losses, rows) == losses_by_hand(losses, rows)


@pytest.mark.parametrize("shape", [(1, 4, 1), (1, 5, 3), (1, 22, 3)])
def test_losses_that_cannot_be_halved_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="cannot be halved"):
        loss_overfitting_probability(np.ones(shape), np.ones(shape[:2]))
    with pytest.raises(ValueError, match="cannot be halved"):
        loss_overfitting_probability(np.ones((1, 4, 3)), np.array([[1.0, 0.0, 1.0, 1.0]]))


def trials_of(losses: np.ndarray) -> list[Tried]:
    """One trial for each row of sums by block."""
    return [
        Tried(k, COMPLETE, float(row.sum()), {}, f"{k:064x}", "", {"direction": row.tolist()})
        for k, row in enumerate(losses)
    ]


def scored(rows: float = ROWS, independent: float = 300.0) -> ScoredOn:
    by_block = {"direction": [rows] * BLOCKS}
    return ScoredOn("d", {"direction": 640}, {"direction": independent}, 3, 1.0, by_block)


def test_a_sweep_of_luck_is_told_from_a_sweep_with_an_edge() -> None:
    rng = np.random.default_rng(11)
    noise = [rng.normal(1.0, 0.05, (20, BLOCKS)) * ROWS for _ in range(volume(8))]
    luck = [overfitting(trials_of(each), scored()).probability for each in noise]
    assert np.mean([each for each in luck if each is not None]) == pytest.approx(0.5, abs=0.15)
    skilled = noise[0].copy()
    skilled[4] -= 0.15 * ROWS
    found = overfitting(trials_of(skilled), scored())
    assert found.probability is not None
    assert found.probability < 0.01
    assert (found.configurations, found.blocks, found.left_out) == (20, 16, 0)
    assert "the ranking holds on time that did not make it" in found.sentence()


def test_what_was_chosen_for_its_luck_in_one_half_is_worst_in_the_other() -> None:
    """Each trial trades what it gains in one block for what it loses in another."""
    gains = np.random.default_rng(2).normal(0.0, 1.0, (20, BLOCKS))
    same_in_all = (1.0 + gains - gains.mean(axis=1, keepdims=True)) * ROWS
    found = overfitting(trials_of(same_in_all), scored())
    assert found.probability == 1.0
    assert "about as good as choosing blindly" in found.sentence()


def test_trials_without_scores_on_all_blocks_are_left_out_and_counted() -> None:
    trials = trials_of(np.random.default_rng(3).normal(1.0, 0.05, (12, BLOCKS)))
    cut = [Tried(12 + k, PRUNED, None, {}, f"cut{k}", "") for k in range(3)]
    found = overfitting([*trials, *cut], scored())
    assert (found.configurations, found.left_out) == (12, 3)
    assert "3 without scores on all of it left out" in found.sentence()
    twice = overfitting([*trials, *cut, trials[0]], scored())
    assert twice == found, "a configuration that was tried twice is one"


def test_too_few_of_anything_is_said() -> None:
    trials = trials_of(np.random.default_rng(3).normal(1.0, 0.05, (FEWEST, BLOCKS)))
    assert overfitting(trials, scored()).probability is not None
    told = {
        "9 configurations were scored": overfitting(trials[1:], scored()),
        "1 configuration was scored": overfitting(trials[:1], scored()),
        "worth 15.9 independent ones": overfitting(trials, scored(independent=15.9)),
        "no out-of-fold rows in some of 16 blocks": overfitting(trials, scored(rows=0.0)),
        "before scores were kept": overfitting(trials, ScoredOn("d", {}, {}, 3, 1.0)),
        "19 common days are too few": overfitting_of_returns(np.zeros((19, FEWEST)), 0),
    }
    for words, found in told.items():
        assert found.probability is None
        assert words in found.sentence()
        assert found.facts()["sentence"] == found.sentence()


def test_daily_returns_are_cut_into_as_many_blocks_as_there_are_days_for() -> None:
    returns = np.random.default_rng(4).normal(0.0, 0.01, (45, FEWEST))
    found = overfitting_of_returns(returns, 2)
    assert (found.blocks, found.left_out) == (8, 2)
    assert found.probability == overfitting_probability(returns, 8)


def test_blocks_hold_as_many_moments_and_every_row() -> None:
    hours = pd.date_range("2025-01-01", periods=100, freq="h", tz="UTC")
    starts = block_starts([hours[:60], hours[40:]])
    counts = block_sums(hours, np.ones(100), starts)
    assert counts.sum() == 100
    assert set(counts) == {6.0, 7.0}
    assert block_sums(hours[:3], np.array([1.0, 2.0, 3.0]), starts).tolist()[:2] == [6.0, 0.0]


def equity(returns: np.ndarray) -> bytes:
    """A run's table: hourly equity that makes its moves at midnight."""
    worth = np.repeat(np.cumprod(1.0 + returns), 24)
    time = pd.date_range("2025-01-01T01:00", periods=len(worth), freq="h", tz="UTC")
    text = time.strftime("%Y-%m-%dT%H:%MZ")
    rows = {"time": [*text, *text], "series": ["traded"] * len(text) + ["always flat"] * len(text)}
    table = pd.DataFrame({**rows, "equity": [*worth, *([1.0] * len(worth))]})
    return table.to_csv(index=False).encode()


def test_experiments_of_a_slot_are_judged_by_their_daily_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    returns = np.random.default_rng(6).normal(0.0, 0.01, (64, FEWEST + 1))
    returns[:, 3] += 0.02
    cache = tmp_path / "cache"
    locks = {}
    for number, each in enumerate(returns.T):
        content = equity(each)
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if number:
            write_atomic(cache / "files" / "md5" / digest[:2] / digest[2:], content)
        outs = [{"path": "reports/plots/equity.csv", "md5": digest}]
        locks[f"rev{number}"] = to_yaml({"stages": {"evaluate": {"outs": outs}}})

    def said(command: list[str], *_: object) -> str:
        told = command[-1].partition(":")[0]
        return str(cache) if command[-2:] == ["cache", "dir"] else locks.get(told, "")

    monkeypatch.setattr(experiment_returns, "_said", said)
    runs = [Experiment(name, name, "done", {}, {"log_loss": 1.0}) for name in locks]
    again = Experiment("again", "rev4", "done", {}, {"log_loss": 1.0})
    other = Experiment("other", "rev5", "done", {}, {"log_loss": 1.0})
    failed = Experiment("failed", "rev6", "failed", {}, {})
    slot, elsewhere = Slot("demo", "SIM-BTC"), Slot("demo", "SIM-ETH")
    slots = [*([slot] * len(runs)), slot, elsewhere, slot]
    found = overfitting_of([*runs, again, other, failed], slots, tmp_path)
    assert [*found] == ["demo/SIM-BTC"], "of one run alone nothing is told"
    one = found["demo/SIM-BTC"]
    assert (one.configurations, one.left_out, one.blocks) == (FEWEST, 1, 12)
    assert one.probability == overfitting_probability(returns[:, 1:], 12)
    assert one.probability < 0.01
