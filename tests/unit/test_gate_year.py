"""A year of the gate on simulated evidence: what noise, erosion and a true edge come to.

The skill of a slot is the mean of a rolling window of independent rows, one for each night, so
that the tests of neighbouring nights share most of their rows. Both skills that the gate asks for
have the same p: luck in one is luck in the other, the worst case.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.special import stdtr

from registry.budget import Asked, Budget, Fleet, offer
from registry.conditions import GateConfig
from registry.draws import Draw, Kind, admitted_within_a_year
from registry.evidence import Evidence
from registry.gate import Standing, judge
from tests.volume import volume

CONFIG = GateConfig()
NIGHTS, WINDOW, MONTH = 365, 365, 30
START = pd.Timestamp("2025-01-01T00:00Z")
DAYS = [(START + pd.Timedelta(days=day)).isoformat() for day in range(3 * NIGHTS)]
Floats = npt.NDArray[np.float64]


@dataclass
class SimulatedSlot:
    """One slot in observation: what it drew, and when it was first let trade."""

    made: list[Draw] = field(default_factory=list)
    trials: int = 1
    admitted: int | None = None

    def night(self, day: int, p: float, kind: Kind = "refresh", fleet: Fleet | None = None) -> bool:
        """Judge one candidate; whether it is let trade."""
        asked = Asked(f"v{day + 1:04d}", kind, DAYS[day])
        budget = Budget(tuple(self.made), 0, self.trials)
        found = offer(budget, asked, fleet or Fleet(), CONFIG)
        if found.due is not None:
            return False
        verdict = judge(shown(p), CONFIG, Standing(asked, found))
        assert verdict.drawn
        passed = verdict.outcome == "promote"
        told = (found.level, found.batch, found.trials)
        self.made.append(Draw(asked.version, asked.as_of, kind, *told, passed, DAYS[day]))
        if passed and self.admitted is None:
            self.admitted = day
        return passed


def shown(p: float) -> Evidence:
    """Evidence of enough rows, with this p of both skills."""
    return Evidence(
        finite=True, effective_rows=365, brier_skill=0.01, brier_skill_low=0.0, brier_skill_p=p,
        direction_skill=0.01, direction_skill_low=0.0, direction_skill_p=p,
        direction_effective_rows=180, balanced_accuracy=0.4, classes=3,
    )  # fmt: skip


def chances(rows: Floats, window: int = WINDOW) -> Floats:
    """One-sided p of a rolling mean of rows, along the last axis, for every full window."""
    seen = np.lib.stride_tricks.sliding_window_view(rows, window, axis=-1)
    score = seen.mean(axis=-1) / (seen.std(axis=-1, ddof=1) / np.sqrt(window))
    return np.asarray(stdtr(window - 1, -score))


def noise(rng: np.random.Generator, *shape: int, effect: float = 0.0) -> Floats:
    """Improvements over the baseline, row by row; `effect` is their mean in deviations."""
    return rng.standard_normal((*shape, WINDOW + NIGHTS - 1)) + effect


def refreshed(p: Floats, trials: int = 1) -> SimulatedSlot:
    """A slot whose one recipe is refreshed every night."""
    slot = SimulatedSlot(trials=trials)
    for day in range(NIGHTS):
        if slot.night(day, float(p[day]), "refresh" if day else "first"):
            break
    return slot


def changed_monthly(p: Floats) -> SimulatedSlot:
    """A slot refreshed every night and changed every month, by p of shape (recipes, days)."""
    slot = SimulatedSlot()
    for day in range(NIGHTS):
        recipe, changes = divmod(day, MONTH)[0], day > 0 and day % MONTH == 0
        slot.trials += changes
        kind: Kind = "change" if changes else "refresh"
        if slot.night(day, float(p[recipe, day]), kind if day else "first"):
            break
    return slot


def share_admitted(slots: Iterator[SimulatedSlot] | list[SimulatedSlot]) -> float:
    return float(np.mean([slot.admitted is not None for slot in slots]))


def most(slots: int, share: float) -> float:
    """A share that so many slots exceed once in a thousand where the true one is `share`."""
    return share + 3.1 * float(np.sqrt(share * (1 - share) / slots))


def test_nightly_refreshes_and_monthly_changes_of_noise_rarely_ever_trade() -> None:
    slots, rng = volume(50), np.random.default_rng(20)
    recipes = 1 + NIGHTS // MONTH
    made = [changed_monthly(chances(noise(rng, recipes))) for _ in range(slots)]
    assert share_admitted(made) <= most(slots, CONFIG.yearly_error)
    assert max(len(slot.made) for slot in made) <= CONFIG.portions + 1, (
        "the first day's is a year old"
    )
    alike = [refreshed(chances(noise(rng))) for _ in range(slots)]
    assert share_admitted(alike) <= most(slots, CONFIG.yearly_error)


def test_what_the_budget_is_for() -> None:
    slots, rng = volume(50), np.random.default_rng(21)
    every_night = np.mean([(chances(noise(rng)) <= 0.05).any() for _ in range(slots)])
    assert every_night > 0.15, "a test at five in a hundred every night lets noise trade"


@pytest.mark.parametrize("kind", ["first", "change"])
def test_the_best_of_thirty_noise_configurations_rarely_trades(kind: Kind) -> None:
    """Neither at once nor in the year of refreshes after it, which share its lucky rows."""
    slots, rng, made = volume(50), np.random.default_rng(22), []
    for _ in range(slots):
        p = chances(noise(rng, 30))
        slot = SimulatedSlot(trials=30)
        best = p[p[:, 0].argmin()]
        slot.night(0, float(best[0]), kind)
        for day in range(1, NIGHTS):
            slot.night(day, float(best[day]))
        made.append(slot)
    assert share_admitted(made) <= most(slots, CONFIG.yearly_error)


def test_a_true_edge_trades_within_the_stated_rows() -> None:
    """An improvement of 0.25 deviations a row, within 365 rows and the first three months."""
    slots, rng = volume(50), np.random.default_rng(23)
    made = [refreshed(chances(noise(rng, effect=0.25))) for _ in range(slots)]
    in_time = [slot.admitted is not None and slot.admitted <= 3 * MONTH for slot in made]
    assert np.mean(in_time) >= 0.9 - 3.1 * np.sqrt(0.09 / slots)


def test_a_fleet_mostly_of_noise_admits_few_that_are() -> None:
    """Fifty slots, forty of them noise: the share of noise among the admitted, on average."""
    fleets, rng = max(volume(2), 2), np.random.default_rng(24)
    false, power = [], []
    for _ in range(fleets):
        p = np.concatenate([chances(noise(rng, 40)), chances(noise(rng, 10, effect=0.3))])
        slots = [SimulatedSlot() for _ in range(50)]
        for day in range(NIGHTS):
            trading = sum(admitted_within_a_year(slot.made, DAYS[day]) for slot in slots)
            for slot, each in zip(slots, p, strict=True):
                if slot.admitted is None:
                    kind: Kind = "refresh" if day else "first"
                    trading += slot.night(day, float(each[day]), kind, Fleet(50, trading))
        admitted = [slot.admitted is not None for slot in slots]
        false.append(sum(admitted[:40]) / max(sum(admitted), 1))
        power.append(np.mean(admitted[40:]))
    assert np.mean(false) <= CONFIG.yearly_error + 0.1 / np.sqrt(fleets)
    assert np.mean(power) > 0.5
