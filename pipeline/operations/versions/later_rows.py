"""What a version's deployed model says of candles that came after it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pipeline.config import Node
from pipeline.evaluation.comparison import OutOfFold, after
from pipeline.live.loading import LoadedHead, unpack
from pipeline.market.candles import moment
from pipeline.models.base import FeatureTable
from pipeline.models.bundle import FILE
from pipeline.models.windows import whole
from pipeline.operations.versions.comparing import Side
from registry.manifest import VerifiedBundle

MARKET_AND_TIME = 2


def later_side(
    verified: VerifiedBundle,
    rival: Mapping[str, OutOfFold],
    candles: pd.DataFrame,
    plugins: Sequence[str],
) -> Side:
    """Predict the rows of a rival that are later than a version's ``as_of`` with its own refit.

    Rows of trades, and labels that a version learned, are left out: what happened there is not
    the same for both.

    Parameters
    ----------
    rival
        The other version's heads; what happened at their rows is taken from here.
    candles
        Candle frame keyed (market, time) that the version's features are computed from.

    Raises
    ------
    VintageError
        When the version's features or models cannot be built any more.
    """
    card, told = verified.card(), json.loads(verified.read(FILE))["heads"]
    as_of = moment(card["as_of"])
    loaded = unpack({name: verified.read(name) for name in verified.names}, plugins).heads
    later = {name: after(head, as_of) for name, head in rival.items() if name in loaded}
    heads = {
        name: _declared(_predicted(loaded[name], rows.frame, candles), told[name], as_of)
        for name, rows in later.items()
    }
    return Side(card["feed"], card["timeframe"], heads)


def _declared(frame: pd.DataFrame, told: Node, as_of: pd.Timestamp) -> OutOfFold:
    return OutOfFold(frame, tuple(told["classes"]), told["label"], as_of)


def _predicted(head: LoadedHead, rows: pd.DataFrame, candles: pd.DataFrame) -> pd.DataFrame:
    happened = rows[["label", "ends_at"]]
    if head.learned is not None or rows.empty or rows.index.nlevels != MARKET_AND_TIME:
        happened = happened.iloc[:0]
    if happened.empty:
        return happened.assign(**{f"p_{name}": np.empty(0) for name in head.classes})
    table = FeatureTable.from_frame(head.feature_set.compute_many(candles))
    places = table.index.get_indexer(happened.index)
    asked = (places >= 0) & whole(table, np.maximum(places, 0), head.lookback)
    chances = head.predict_proba(table, places[asked])
    columns = {f"p_{name}": chances[:, k] for k, name in enumerate(head.classes)}
    return happened[asked].assign(**columns)
