"""What one head of a recipe declares, as far as a mistake can hide in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from pipeline.build import build
from pipeline.configuration.plan import Plan
from pipeline.features.feature_set import FeatureSet
from pipeline.fitting.training import labelled_samples
from pipeline.frames import key_by_market
from pipeline.labels.base import Label
from pipeline.market.trades import TradeRule, trade_rows
from pipeline.models.base import Model, Samples
from pipeline.models.windows import with_whole_windows
from pipeline.splits.fold import Fold, Split
from pipeline.stages.features import compute

Compute = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake by its name, and what gave it away."""

    name: str
    found: str


@dataclass(frozen=True, slots=True)
class Declared:
    """The parts of one head over candles of one market, and its samples of all its markets.

    `features` gives the table of candles of one market, the rows of the warm-up too; `folds` are
    those of the split over the samples, just as it gives them.
    """

    candles: pd.DataFrame
    timeframe: str
    features: Compute
    label: Label
    model: Model
    split: Split
    samples: Samples
    folds: tuple[Fold, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Cut the samples once."""
        cut = self.split.folds(self.samples.time, self.samples.ends_at)
        object.__setattr__(self, "folds", tuple(cut))


def declared(candles: Mapping[str, pd.DataFrame], plan: Plan, head: str) -> Declared:
    """The parts of a head of a plan over candles of its market, or of each member of its pool."""
    told, timeframe = plan.stages["train"], plan.run.timeframe
    node, lookback = told["heads"][head], int(told["lookback"])
    label: Label = build(node["label"], f"label of {head}", plan.plugins)
    feature_set: FeatureSet = build(node["features"], f"features of {head}", plan.plugins)
    keyed = pd.concat([key_by_market(frame, name) for name, frame in candles.items()])
    features = compute(keyed, feature_set, label.trades, timeframe, lookback)
    labels = pd.concat(
        [key_by_market(label.compute(each, timeframe), name) for name, each in candles.items()]
    )
    samples = labelled_samples(
        features,
        labels,
        label.classes,
        label if "outcome" in labels else None,  # type: ignore[arg-type]
    )
    return Declared(
        candles=next(iter(candles.values())),
        timeframe=timeframe,
        features=_every_row(feature_set, label.trades, timeframe),
        label=label,
        model=build(node["model"], f"model of {head}", plan.plugins),
        split=build(told["split"], "split", plan.plugins),
        samples=samples if label.trades else with_whole_windows(samples, lookback),
    )


def _every_row(feature_set: FeatureSet, rule: TradeRule | None, timeframe: str) -> Compute:
    if rule is None:
        return feature_set.compute_all

    def of_trades(candles: pd.DataFrame) -> pd.DataFrame:
        rows = trade_rows(candles, rule, timeframe)
        if not (rows.row >= feature_set.warm_up).any():
            index = rows.take(rows.row < 0).index(candles)
            return pd.DataFrame(index=index, columns=list(feature_set.names), dtype="float64")
        return feature_set.compute_trades(candles, rows)

    return of_trades
