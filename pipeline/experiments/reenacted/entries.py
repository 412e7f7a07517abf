"""Entry heads fitted on rows of one's choice, and what they say of the same or of other rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.build import build
from pipeline.configuration.plan import Plan
from pipeline.errors import ConfigError
from pipeline.evaluation.trading import Predicted
from pipeline.fitting.training import checked_folds, labelled_samples, predict_folds
from pipeline.frames import key_by_market
from pipeline.labels.base import Label
from pipeline.models.base import Model, Rows, Samples
from pipeline.models.windows import with_whole_windows
from pipeline.splits.fold import Fold, Split
from pipeline.splits.holdout import Holdout
from pipeline.stages.features import compute

LONG, SHORT = "long_entry", "short_entry"
HEADS = (LONG, SHORT)
CLASSES = ("no", "enter")
ENTER = 1


@dataclass(frozen=True, slots=True)
class Head:
    """An entry head: its labelled rows, its model and the seed of its fits."""

    samples: Samples
    model: Model
    seed: int

    def fitted_on(self, rows: Rows, asked: Rows) -> pd.Series[float]:
        """Probability of the last class by a model that was fitted on `rows`, indexed by time.

        Nothing is checked: `asked` and `rows` may be the same.
        """
        fitted = self.model.fit(self.samples.take(rows), np.random.default_rng([self.seed, 0]))
        chance = fitted.predict_proba(self.samples.table, self.samples.rows[asked])[:, ENTER]
        return pd.Series(chance, self.samples.time[asked])

    def in_sample(self) -> pd.Series[float]:
        """Probabilities of all rows by a model that was fitted on all of them: a leak."""
        every = np.arange(len(self.samples.rows), dtype=np.intp)
        return self.fitted_on(every, every)

    def on_newest(self, test_share: float) -> pd.Series[float]:
        """Probabilities of the newest rows by a model that was fitted on the older ones alone."""
        fold: Fold = checked_folds(self.samples, Holdout(test_share=test_share))[0]
        return self.fitted_on(fold.train, fold.test)

    def out_of_fold(self, split: Split) -> Predicted:
        """Predictions of every test row of a split, joined with the labels.

        Raises
        ------
        ConfigError
            When a fold trains on rows that are newer than its test.
        """
        folds = checked_folds(self.samples, split)
        if any(self._knows_later(fold) for fold in folds):
            raise ConfigError(
                "this split tests old candles with models that were trained on newer ones",
                fix="choose one that walks forward, such as split=walk_forward",
            )
        parts = predict_folds(self.samples, self.model, folds, self.seed)
        predicted = pd.concat([part.predictions for part in parts]).sort_index()
        happened = pd.DataFrame(
            {"label": self.samples.label, "ends_at": self.samples.ends_at}, self.samples.index
        )
        return Predicted(predicted.join(happened, how="inner"), self.samples.classes)

    def _knows_later(self, fold: Fold) -> bool:
        time = self.samples.time
        return bool(time[fold.train].max() > time[fold.test].min())


def head_of(candles: pd.DataFrame, plan: Plan, name: str) -> Head:
    """A head of a plan over candles of its market; rows of trades where its label has trades."""
    told, market = plan.stages["train"], plan.run.market.name
    node, lookback = told["heads"][name], int(told["lookback"])
    label: Label = build(node["label"], f"label of {name}", plan.plugins)
    feature_set = build(node["features"], f"features of {name}", plan.plugins)
    keyed, timeframe = key_by_market(candles, market), plan.run.timeframe
    features = compute(keyed, feature_set, label.trades, timeframe, lookback)
    labels = key_by_market(label.compute(candles, timeframe), market)
    samples = labelled_samples(features, labels, label.classes)
    if label.trades is None:
        samples = with_whole_windows(samples, lookback)
    return Head(samples, build(node["model"], f"model of {name}", plan.plugins), int(told["seed"]))


def entry_heads(candles: pd.DataFrame, plan: Plan) -> dict[str, Head]:
    """The long and the short entry head of a plan over candles of its market."""
    return {name: head_of(candles, plan, name) for name in HEADS}


def relabelled(head: Head, label: Label, candles: pd.DataFrame, plan: Plan) -> Head:
    """The same head, learning another label of the same candles."""
    table = head.samples.table
    features = pd.DataFrame(table.values, table.index, list(table.columns))
    labels = key_by_market(label.compute(candles, plan.run.timeframe), plan.run.market.name)
    lookback = int(plan.stages["train"]["lookback"])
    samples = with_whole_windows(labelled_samples(features, labels, label.classes), lookback)
    return replace(head, samples=samples)


def spoken(said: Mapping[str, pd.Series[float]]) -> pd.DataFrame:
    """What both heads say, indexed by time, for `pipeline.evaluation.backtest`.

    Rows that one of them does not speak of are left out.
    """
    columns = {"p_long": said[LONG], "p_short": said[SHORT]}
    return pd.DataFrame(columns).dropna()
