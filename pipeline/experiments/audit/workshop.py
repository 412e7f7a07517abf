"""A plan's stages, called one after the other on candles in memory; nothing is read or written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pipeline.config import Node
from pipeline.configuration.plan import Plan
from pipeline.evaluation.metrics import with_outcomes
from pipeline.experiments.audit.permuted import block_permuted
from pipeline.fitting.training import checked_folds, predict_folds
from pipeline.frames import key_by_market, of_market
from pipeline.labels.base import Label
from pipeline.models.base import Samples
from pipeline.models.calibration import Calibration
from pipeline.runner import Context
from pipeline.splits.fold import Fold, Split
from pipeline.stages import features, train


def predicted(
    plan: Plan, candles: pd.DataFrame, permuted: int | None = None
) -> tuple[dict[str, pd.DataFrame], dict[str, tuple[str, ...]]]:
    """Out-of-fold rows of every head joined with what happened, and the heads' classes.

    Parameters
    ----------
    permuted
        Seed of the weeks whose labels change places; None where they stay.
    """
    work = Workshop.of(plan)
    rows: dict[str, pd.DataFrame] = {}
    for name in work.heads:
        samples = work.samples(name, candles)
        if permuted is not None:
            samples = block_permuted(samples, np.random.default_rng(permuted))
        rows[name] = work.joined(name, samples)
    return rows, {name: work.config.heads[name].classes for name in work.heads}


@dataclass(frozen=True, slots=True)
class Workshop:
    """A plan's stages, to be called one after the other on candles in memory."""

    plan: Plan
    context: Context
    config: train.Config
    tables: features.Config
    built: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan) -> Workshop:
        """What the stages of a plan were told."""
        return cls(
            plan,
            Context(plan.plugins),
            train.Config.parse(plan.stages["train"], "train"),
            features.Config.parse(plan.stages["features"], "features"),
        )

    @property
    def heads(self) -> list[str]:
        """Names of the heads."""
        return sorted(self.config.heads)

    def build(self, node: Node, where: str) -> Any:
        """Build what a plan declares, once."""
        if where not in self.built:
            self.built[where] = self.context.build(node, where)
        return self.built[where]

    def label(self, head: str) -> Label:
        """The label of a head."""
        made: Label = self.build(self.config.heads[head].label, f"label of {head}")
        return made

    def samples(self, head: str, candles: pd.DataFrame) -> Samples:
        """Labelled rows of a head from candles keyed (market, time)."""
        name, told = self.config.heads[head].feature_set, self.tables
        table = features.compute(
            candles,
            self.build(told.sets[name], f"features={name}"),
            told.trades.get(name),
            told.timeframe,
            told.lookback,
        )
        label = self.label(head)
        labels = pd.concat(
            [
                key_by_market(label.compute(of_market(candles, market), told.timeframe), market)
                for market in candles.index.unique("market")
            ]
        )
        return train.head_samples(self.config, self.context, head, table, labels)

    def folds(self, samples: Samples) -> list[Fold]:
        """Folds of the plan's own split."""
        split: Split = self.build(self.config.split, "split")
        return checked_folds(samples, split)

    def joined(self, head: str, samples: Samples) -> pd.DataFrame:
        """What the models of the folds said of their tests, and what happened."""
        model = self.build(self.config.heads[head].model, f"model of {head}")
        calibration: Calibration = self.build(self.config.calibration, "calibration")
        parts = predict_folds(samples, model, self.folds(samples), self.config.seed, calibration)
        happened = {"label": samples.label, "ends_at": samples.ends_at}
        labels = pd.DataFrame(happened, index=samples.index)
        frame = pd.concat([part.predictions for part in parts])
        return with_outcomes(frame, labels.drop(columns="label") if "label" in frame else labels)
