"""Every figure of a head with its interval, beside what the baselines reach; by regime and month.

The form is that of ``reports/heads.json``: a figure is ``{"value", "low", "high", "baselines"}``,
`low` and `high` the ends of its 90 % interval by the block bootstrap, ``baselines`` the same
figure of each forecast without a model. What cannot be told is None: a class that did not
happen, the log loss of a baseline that is certain, an interval of too few independent rows or of
a ``calibration_error``: it is a distance, which luck only adds to, so that rows drawn again show
more of it than there is and never the 0 of a perfect forecaster. That of a head as a whole has
``perfect`` instead, the ``low`` and ``high`` between which a forecaster whose probabilities are
true lies on these rows 95 times in 100. What tells of direction rests on the rows that moved alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.baselines import CLIMATOLOGY, PERSISTENCE, baselines
from pipeline.evaluation.bootstrap import interval
from pipeline.evaluation.effective import effective_rows
from pipeline.evaluation.measures import (
    Figures,
    Floats,
    Outcomes,
    direction_figures,
    mean_figures,
    rank_figures,
)
from pipeline.evaluation.metrics import moved, outcomes_of, probabilities
from pipeline.evaluation.perfect_forecast import perfect_range
from pipeline.evaluation.regimes import REGIMES, at_rows, regimes_of

LEAST_ROWS = 2.0  # independent rows below which an interval says nothing
DIGITS = 6
DISTANCES = ("calibration_error",)  # luck only adds to them: draws say nothing
Card = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Head:
    """One head's out-of-fold rows, what the market and its labels were, and the baselines.

    `joined` has ``fold``, ``label``, ``ends_at``, ``p_<class>`` and ``base_<class>``, each row
    once; `others` are probabilities of its rows, by the baseline's name.
    """

    joined: pd.DataFrame
    classes: tuple[str, ...]
    timeframe: str
    others: Mapping[str, Floats]

    def take(self, rows: npt.NDArray[np.bool_]) -> Head:
        """Some of its rows."""
        others = {name: values[rows] for name, values in self.others.items()}
        return replace(self, joined=self.joined[rows], others=others)


def scorecard(
    joined: pd.DataFrame,
    classes: tuple[str, ...],
    timeframe: str,
    labels: pd.DataFrame,
    candles: pd.DataFrame,
) -> Card:
    """What is told of one head; parameters as of `pipeline.evaluation.baselines.baselines`.

    Returns
    -------
    dict
        ``metrics``: figure by name, see `pipeline.evaluation.measures`; ``by_regime`` and
        ``by_month``: for each regime and each month of UTC ``rows``, ``effective_rows`` and the
        ``metrics`` that are sums over rows or tell the direction; of several markets also
        ``by_member``, the same for each.
    """
    others = baselines(joined, classes, timeframe, labels, candles)
    head = Head(joined, classes, timeframe, others)
    regime = at_rows(regimes_of(candles), joined.index).to_numpy()
    month = pd.DatetimeIndex(joined.index.get_level_values("time")).strftime("%Y-%m").to_numpy()
    market = joined.index.get_level_values("market").to_numpy()
    members = sorted({*market}) if len({*market}) > 1 else []
    by_member = {name: _part(head.take(market == name)) for name in members}
    return {
        **({"by_member": by_member} if by_member else {}),
        "metrics": figures(head),
        "by_regime": {name: _part(head.take(regime == name)) for name in REGIMES},
        "by_month": {name: _part(head.take(month == name)) for name in sorted({*month})},
    }


def figures(head: Head, ranks: bool = True) -> Card:
    """Every figure of a head beside its baselines; those that rest on order only with `ranks`."""
    outcomes = outcomes_of(head.joined, head.classes, head.timeframe)
    climatology = {"skill_over_climatology": head.others[CLIMATOLOGY]}
    outcomes = replace(outcomes, against={**outcomes.against, **climatology})
    drawn = _figures(probabilities(head.joined, head.classes), outcomes, ranks)
    once = outcomes.once()
    others = {name: _figures(values, once, ranks) for name, values in head.others.items()}
    del others[PERSISTENCE]["log_loss"]
    widened = _widened(head, outcomes)
    told = {
        name: {
            **_told(values, widened[_kind(name)]),
            "baselines": {
                each: _number(found[name][0]) if name in found else None
                for each, found in others.items()
            },
        }
        for name, values in drawn.items()
    }
    if ranks:
        told["calibration_error"]["perfect"] = _perfect(head)
    return told


def mean_of_cards(cards: Sequence[Card]) -> Card:
    """Mean over paths of the scorecards of one head, see `pipeline.evaluation.prediction_paths`.

    Ends of intervals and baselines are means, too. Where there are several paths, each figure has
    also a ``spread``, its lowest and highest value over the paths.

    Examples
    --------
    >>> one = {"value": 0.25, "low": 0.0, "high": 0.5, "baselines": {"har": None}}
    >>> two = {"value": 0.75, "low": 0.5, "high": 1.0, "baselines": {"har": None}}
    >>> mean_of_cards([{"metrics": {"skill": each}} for each in (one, two)])["metrics"]["skill"]
    {'value': 0.5, 'low': 0.25, 'high': 0.75, 'baselines': {'har': None}, 'spread': [0.25, 0.75]}
    """
    first, *others = cards
    return {name: _mean_of([card[name] for card in cards]) for name in first} if others else first


def _mean_of(parts: Sequence[Any]) -> Any:
    """Mean of equal trees, leaf by leaf; None where one path cannot tell."""
    first = parts[0]
    if not isinstance(first, dict):
        if all(part == first for part in parts):
            return first
        return None if None in parts else _number(sum(parts) / len(parts))
    names = [name for name in first if all(name in part for part in parts)]
    found = {name: _mean_of([part[name] for part in parts]) for name in names}
    if "value" in first:
        values = [part["value"] for part in parts if part["value"] is not None]
        found["spread"] = [min(values), max(values)] if values else None
    return found


def mean_skill(cards: Mapping[str, Card]) -> dict[str, float]:
    """Mean over the heads of the skill over shares by volatility, for ``reports/metrics.json``.

    Examples
    --------
    >>> told = {"metrics": {"skill_over_climatology": {"value": 0.25}}}
    >>> mean_skill({"entry": told, "exit": told})
    {'skill_over_climatology': 0.25}
    """
    name = "skill_over_climatology"
    values = [card["metrics"][name]["value"] for card in cards.values()]
    return {name: float(f"{np.mean(values):.{DIGITS}g}")}


def _perfect(head: Head) -> Card:
    """Between which calibration errors a perfect forecaster lies on these rows."""
    said = probabilities(head.joined, head.classes)
    low, high = perfect_range(said, head.joined, head.timeframe)
    return {"low": _number(low), "high": _number(high)}


def _part(head: Head) -> Card:
    rows = len(head.joined)
    if not rows:
        return {"rows": 0, "effective_rows": 0.0, "metrics": {}}
    effective = effective_rows(head.joined, head.timeframe)
    metrics = figures(head, ranks=False)
    return {"rows": rows, "effective_rows": _number(effective), "metrics": metrics}


def _figures(probability: Floats, outcomes: Outcomes, ranks: bool) -> Figures:
    base = outcomes.against["brier_skill"]
    found = mean_figures(probability, outcomes)
    if outcomes.has_direction:
        found |= direction_figures(probability, base, outcomes)
    return found | (rank_figures(probability, base, outcomes) if ranks else {})


def _kind(name: str) -> str:
    """Which rows a figure's interval rests on."""
    if name in DISTANCES:
        return "none"
    return "moved" if name.startswith("direction_") else "all"


def _widened(head: Head, outcomes: Outcomes) -> dict[str, float]:
    """By how much intervals are widened, by `_kind`; infinite where there is none."""
    found = {"none": math.inf}
    drawn = {"all": (head.joined, outcomes.blocks)}
    drawn["moved"] = (moved(head.joined, head.classes), outcomes.moves)
    for kind, (rows, blocks) in drawn.items():
        few = effective_rows(rows, head.timeframe) < LEAST_ROWS
        found[kind] = math.inf if few else blocks.widening
    return found


def _told(drawn: Floats, widened: float) -> Card:
    low, high = interval(drawn, widened) if math.isfinite(widened) else (math.nan, math.nan)
    return {"value": _number(drawn[0]), "low": _number(low), "high": _number(high)}


def _number(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
