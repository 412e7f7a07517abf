"""A verified version and the newest candles: what its heads say, or why it must not be asked."""

from __future__ import annotations

import pandas as pd

from pipeline.config import Node
from pipeline.configuration.choices import RECIPE
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.backtest.signals import THRESHOLDS
from pipeline.evaluation.trading import ROLES
from pipeline.live.answers import Answer
from pipeline.live.predictor import Predictor, Serving
from pipeline.live.served import Served
from pipeline.market.candles import duration, moment
from pipeline.market.pool import MEMBERS
from pipeline.market.pool_quality import LEFT_OUT
from pipeline.market.sync import sync
from pipeline.operations.target import Target
from registry.slots import Slot


def answer_of(target: Target, slot: Slot, found: Served) -> Answer:
    """What the heads of a version say at the last candle closed at as_of.

    Entries and exits are held against the thresholds that the version's backtest profile
    states, or another profile that the words name.

    Raises
    ------
    ConfigError
        When the version was trained on another feed or timeframe, or not on this market.
    DataError
        When the candles do not reach as_of.
    """
    card, market = found.verified.card(), target.only_market.name
    _require_same(card, target)
    _require_learned(card, market)
    serving = Serving(
        mode=found.pointer.mode,
        action_threshold=card["config"]["signal"]["action_threshold"],
        trained_until=card["as_of"],
        thresholds=_thresholds(card, target),
        stands_in_for=found.stands_in_for,
    )
    predictor = Predictor.load(slot, found.verified, serving, target.plan.plugins)
    return predictor.answer(_candles(target, predictor.memory), market)


def _thresholds(card: Node, target: Target) -> dict[str, float]:
    """Of each role that the profile acts on; none of a card that was written without a profile."""
    named = target.choices.backtest != RECIPE or "backtest" in target.choices.set
    own: Node = card["config"]["evaluate"].get("backtest", {})
    profile = target.plan.run.backtest.model_dump() if named else own
    found = {role: profile.get(THRESHOLDS[column]) for role, (column, _) in ROLES.items()}
    return {role: value for role, value in found.items() if value is not None}


def _require_learned(card: Node, market: str) -> None:
    """Refuse a member that was left out of what the pool's model learned from."""
    member = card["quality"].get(MEMBERS, {}).get(market, {})
    if LEFT_OUT in member:
        raise ConfigError(
            f"the champion did not learn from {market}, which was left out",
            where=card["slot"],
            found=member[LEFT_OUT],
            fix="correct its candles and retrain",
        )


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
        sync(target.store, target.exchange, target.only_market.instrument, timeframe, start, end)
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
