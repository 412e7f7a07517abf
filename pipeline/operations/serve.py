"""One signal from one slot: champion, newest candles, prediction."""

from __future__ import annotations

import pandas as pd

from pipeline.config import Node
from pipeline.errors import ConfigError, DataError
from pipeline.live.predictor import Predictor, Serving
from pipeline.live.signals import Signal
from pipeline.market.candles import duration, moment
from pipeline.market.sync import sync
from pipeline.operations.target import Target
from registry.errors import RegistryError
from registry.pointers import champion
from registry.versions import Registry


def predict(target: Target, registry: Registry) -> Signal:
    """Signal of the slot's champion at the last candle closed at as_of.

    Raises
    ------
    RegistryError
        When the slot has no champion or its files do not verify.
    DataError
        When the candles do not reach as_of.
    """
    pointer = champion(registry.root, target.slot)
    if pointer is None:
        raise RegistryError(
            f"there is no champion yet ({target.slot}). To do: vintage retrain {target.words}."
        )
    verified = registry.open(target.slot, pointer.version)
    card = verified.card()
    _require_same(card, target)
    serving = Serving(pointer.mode, card["config"]["signal"]["action_threshold"], card["as_of"])
    predictor = Predictor.load(target.slot, verified, serving, target.plan.plugins)
    return predictor.predict(_candles(target, predictor.memory))


def _require_same(card: Node, target: Target) -> None:
    run = target.plan.run
    for name, asked in (("feed", run.feed), ("timeframe", run.timeframe)):
        if card[name] != asked:
            raise ConfigError(
                f"the champion was trained on another {name}",
                where=str(target.slot),
                found=asked,
                expected=card[name],
                fix="give the words that it was trained with, or retrain with these",
            )


def _candles(target: Target, memory: int) -> pd.DataFrame:
    timeframe = target.plan.run.timeframe
    step = duration(timeframe)
    end = moment(target.plan.run.as_of).floor(step)
    start = end - memory * step
    held = target.store.span(target.series)
    if target.exchange.reachable and (held is None or held.last + step < end):
        sync(target.store, target.exchange, target.market.instrument, timeframe, start, end)
    candles = target.store.read(target.series, start, end)
    if candles.empty or candles.index[-1] + step < end:
        found = candles.index[-1].isoformat() if len(candles) else "none"
        raise DataError(
            "the newest candle is not in the store",
            where=str(target.series),
            found=found,
            expected=(end - step).isoformat(),
            fix="vintage data sync, or an earlier as_of",
        )
    return candles
