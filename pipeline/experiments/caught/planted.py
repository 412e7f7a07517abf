"""Parts with a mistake in them, to be caught: a label, a model and features as they were.

None of them is a record of configuration, so no recipe can name one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from pipeline.experiments.caught.declared import Compute
from pipeline.experiments.reenacted.old_features import filled_back
from pipeline.labels.high_vol import HighVol
from pipeline.models.base import Files, Fitted, Model, Samples
from pipeline.models.scaler import Scaler


@dataclass(frozen=True, slots=True)
class FullSampleQuantile:
    """High volatility by the quantile of every outcome, those of the test too."""

    own: HighVol
    classes: ClassVar[tuple[str, ...]] = HighVol.classes
    trades: ClassVar[None] = None

    def meanings(self, timeframe: str) -> tuple[str, ...]:
        """What each class says of a candle."""
        return self.own.meanings(timeframe)

    def compute(self, candles: pd.DataFrame, timeframe: str) -> pd.DataFrame:
        """Label every candle; see `pipeline.labels.base.Label`."""
        found = self.own.compute(candles, timeframe)
        outcome = found["outcome"].to_numpy("float64")
        found.insert(0, "label", self.own.learn(outcome).assign(outcome))
        return found.drop(columns="outcome")


@dataclass(frozen=True, slots=True)
class ScaledByAll:
    """A model behind a scaler that has measured every row of the table, whatever it is given."""

    own: Any

    @property
    def lookback(self) -> int:
        """That of the model."""
        return int(self.own.lookback)

    def fit(self, samples: Samples, rng: np.random.Generator) -> Fitted:
        """Scale by all rows, then fit on the given ones; asked with the same table only."""
        table = samples.table
        scaled = Scaler.fit(table.columns, table.values).apply(table.values)
        model: Model = self.own
        fitted = model.fit(replace(samples, table=replace(table, values=scaled)), rng)
        return _Scaled(fitted, scaled)

    def load(self, files: Files) -> Fitted:
        """Read what the model wrote."""
        return self.own.load(files)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class _Scaled:
    fitted: Any
    scaled: Any

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.fitted.columns)

    def predict_proba(self, table: Any, rows: Any) -> Any:
        return self.fitted.predict_proba(replace(table, values=self.scaled), rows)

    def save(self) -> dict[str, bytes]:
        return dict(self.fitted.save())

    def report(self) -> dict[str, dict[str, Any]]:
        return dict(self.fitted.report())


def filled_from_behind(features: Compute) -> Compute:
    """The same features, what is not known yet taken from later rows."""
    return lambda candles: filled_back(features(candles))
