"""What one slot says: champion, newest candles, every head's answer, and the challenger beside."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pipeline import log
from pipeline.live.log import Role, SignalLog
from pipeline.live.said import Said, is_challengers
from pipeline.live.served import served
from pipeline.operations.retraining.challenger import ask_challenger
from pipeline.operations.target import Target
from pipeline.operations.versions.answering import answer_of
from registry.errors import RegistryError
from registry.pointers import champion
from registry.slots import Slot
from registry.versions import Registry


def predict(target: Target, registry: Registry) -> Said:
    """What the heads of the slot's champion say at the last candle closed at as_of.

    A member of the recipe's own pool without a champion of its own is answered by the pool's.
    While the champion is damaged the nearest intact champion before it answers, and says so.

    A challenger is asked as well. It answers in the champion's place at the candles of its share,
    if it was asked the same question and the champion is intact; else what it says stands beside
    the answer. Whatever fails in it leaves the champion's answer as it is.

    Raises
    ------
    RegistryError
        When the slot has no champion, or neither it nor one before is intact.
    ConfigError
        When the champion was trained on another feed or timeframe, or not on this market.
    DataError
        When the candles do not reach as_of.
    """
    slot = serving_slot(target, registry)
    found = served(registry, slot, target.plan.plugins)
    if found is None:
        raise RegistryError(
            f"there is no champion yet ({slot}). To do: vintage retrain {_words(target, slot)}."
        )
    own = answer_of(target, slot, found)
    asked, share = ask_challenger(target, registry, slot, found), target.plan.run.challenger_share
    role: Role = "stand_in" if found.stands_in_for else "champion"
    its_turn = is_challengers(own.at.market, own.at.candle, share)
    if asked.answer and asked.may_answer and its_turn and role == "champion":
        return Said(asked.answer, "challenger", share, own)
    return Said(own, role, share, asked.answer, asked.why_not)


def keep(said: Said, home: Path, now: pd.Timestamp) -> str:
    """Write what was said to the signal log; why it could not be, or nothing.

    The log is no condition of an answer: a full disk costs the line alone.
    """
    try:
        SignalLog.below(home).keep(said.lines(now.isoformat()))
    except (OSError, RegistryError) as error:
        at = said.answer.at
        log.event("signal_not_logged", slot=at.slot, candle=at.candle, why=str(error))
        return str(error)
    return ""


def serving_slot(target: Target, registry: Registry) -> Slot:
    """Whose champion answers for a market: its own slot's, else that of the recipe's pool."""
    if target.pool is None or champion(registry.root, target.slot) is not None:
        return target.slot
    return target.pool


def _words(target: Target, slot: Slot) -> str:
    words = target.words.split()
    return " ".join(
        f"market={slot.market}" if word.startswith("market=") else word for word in words
    )
