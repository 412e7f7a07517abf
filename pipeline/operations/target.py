"""From ``key=value`` words to one slot: its plan, its exchange, its candles."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.build import build
from pipeline.configuration.choices import GROUPS, LAST, MARKET, NONE, NOW, RECIPE, Choices, choose
from pipeline.configuration.compose import Composed, compose_run, read_root
from pipeline.configuration.conf_groups import parse_words, read_option
from pipeline.configuration.plan import Plan
from pipeline.configuration.planning import plan_run
from pipeline.configuration.pool_members import with_members
from pipeline.configuration.settings import words_of
from pipeline.errors import ConfigError, DataError
from pipeline.market.candles import duration, moment
from pipeline.market.exchanges.base import Exchange, Market
from pipeline.market.exchanges.machine import Machine, silent
from pipeline.market.pool import AnyMarket, Pool, only_market, parse_market
from pipeline.market.store import CandleStore, Series
from pipeline.operations.retraining.build_run import USUAL as USUAL_BUILD
from pipeline.operations.retraining.build_run import How
from pipeline.operations.retraining.waiting import UNWAITED, Waiting
from registry.slots import Slot

UNKNOWN_YET = "1970-01-01T00:00Z"
USUAL = (RECIPE, MARKET, NONE)


@dataclass(frozen=True, slots=True)
class Target:
    """One slot and everything needed to build or serve it.

    `pool` is the slot of the recipe's own pool, where the market is a member of it; `skip` are
    heads that a retrain takes over from the champion, `build` is how it builds, and `waiting` says
    when it may swap the champion.
    """

    choices: Choices
    plan: Plan
    slot: Slot
    exchange: Exchange
    market: AnyMarket
    store: CandleStore
    pool: Slot | None = None
    skip: tuple[str, ...] = ()
    waiting: Waiting = UNWAITED
    build: How = USUAL_BUILD

    @property
    def only_market(self) -> Market:
        """The market itself, where one is asked for and not a pool.

        Raises
        ------
        ConfigError
            When it is a pool.
        """
        return only_market(self.market)

    @property
    def series(self) -> Series:
        """The market's candles in the store; see `only_market`."""
        return self.series_of(self.only_market)

    def series_of(self, market: Market) -> Series:
        """A member's candles in the store."""
        return Series(self.exchange.feed, market.name, self.plan.run.timeframe)

    @property
    def words(self) -> str:
        """What to type to name this slot and its source again, at any moment."""
        return " ".join(shlex.quote(word) for word in (*self._named(), *words_of(self.choices.set)))

    @property
    def chosen(self) -> str:
        """The same, without what only says where its candles lie on this machine."""
        local = tuple(f"exchange.{key}=" for key in self.plan.local["exchange"])
        kept = (word for word in shlex.split(self.words) if not word.startswith(local))
        return shlex.join(kept)

    def _named(self) -> Iterator[str]:
        own = {"recipe": self.slot.recipe, "market": self.slot.market}
        if self.slot.exchange:
            own["exchange"] = self.slot.exchange
        for group in GROUPS:
            chosen = own.get(group, getattr(self.choices, group))
            if group in own or chosen not in USUAL:
                yield f"{group}={chosen}"


def resolve(
    words: Sequence[str],
    conf: Path,
    home: Path,
    now: pd.Timestamp,
    tell: Callable[[str], None] = silent,
) -> Target:
    """Find the slot that words name; ``as_of=last`` becomes the close of the last candle.

    ``as_of=now`` becomes the last moment of the timeframe's grid, whatever came by then.

    Parameters
    ----------
    tell
        Gets a sign of life of the exchange for each page and each wait.

    Raises
    ------
    ConfigError
        When a word names nothing.
    DataError
        When the exchange and the store have no candle.
    """
    opened = open_target(words, conf, home, now, tell)
    return opened.at(known_at(opened, now) if opened.sentinel else None)


@dataclass(frozen=True, slots=True)
class Opened:
    """A slot that words name, before anyone asked which moment ``last`` is.

    `sentinel` is ``last``, ``now``, or empty where the words say the moment.
    """

    target: Target
    composed: Composed
    conf: Path
    sentinel: str

    def at(self, as_of: pd.Timestamp | None) -> Target:
        """The slot at a moment; without one, at that of the words."""
        target, composed = self.target, self.composed
        if as_of is not None:
            known = {"as_of": as_of.isoformat()}
            composed = dataclasses.replace(
                composed, choices=composed.choices.model_copy(update=known)
            )
            plan = plan_run(composed)
            target = dataclasses.replace(
                target, choices=target.choices.model_copy(update=known), plan=plan
            )
        return dataclasses.replace(target, pool=_pool_slot(target, composed, self.conf))


def open_target(
    words: Sequence[str],
    conf: Path,
    home: Path,
    now: pd.Timestamp,
    tell: Callable[[str], None] = silent,
) -> Opened:
    """Find the slot that words name, without asking its exchange; see `resolve`."""
    chosen = choose(read_root(conf).choices, parse_words(words))
    sentinel = chosen.as_of if chosen.as_of in (LAST, NOW) else ""
    require_past(chosen.as_of, now)
    explicit = chosen.model_copy(update={"as_of": UNKNOWN_YET}) if sentinel else chosen
    composed = compose_run(explicit, conf)
    return Opened(_target(explicit, composed, home, tell), composed, conf, sentinel)


def require_past(text: str, now: pd.Timestamp, where: str = "as_of") -> None:
    """Refuse a moment that lies ahead; ``last`` and ``now`` never do.

    Parameters
    ----------
    where
        The word that was typed.

    Raises
    ------
    ConfigError
        When it does, or is no moment.
    """
    if text not in (LAST, NOW) and moment(text, where) > now:
        raise ConfigError(
            f"{where} lies in the future", found=text, expected=f"{now.isoformat()} or before"
        )


def known_at(opened: Opened, now: pd.Timestamp) -> pd.Timestamp:
    """The moment that a sentinel stands for.

    Raises
    ------
    DataError
        When it is ``last``, and neither the exchange nor the store has a candle.
    """
    if opened.sentinel == NOW:
        return now.floor(duration(opened.target.plan.run.timeframe))
    return _last_close(opened.target, now)


def newest_candle(target: Target, market: Market, now: pd.Timestamp) -> pd.Timestamp | None:
    """Open time of a market's newest final candle: the exchange's, else the store's."""
    if target.exchange.reachable:
        return target.exchange.newest(market.instrument, target.plan.run.timeframe, now)
    held = target.store.span(target.series_of(market))
    return held.last if held else None


def _target(
    choices: Choices, composed: Composed, home: Path, tell: Callable[[str], None]
) -> Target:
    plan = plan_run(composed)
    exchange = build(composed.groups["exchange"], "exchange", plan.plugins)
    if hasattr(exchange, "on"):
        exchange = exchange.on(Machine(tell=tell))
    return Target(
        choices=choices,
        plan=plan,
        slot=plan.run.slot,
        exchange=exchange,
        market=plan.run.market,
        store=CandleStore(home / "data" / "store"),
    )


def _pool_slot(target: Target, composed: Composed, conf: Path) -> Slot | None:
    own = composed.recipe.market
    pool = parse_market(with_members(read_option(conf, "market", own), conf), f"market={own}")
    if not isinstance(pool, Pool) or target.market.name not in [each.name for each in pool.members]:
        return None
    exchange = target.plan.run.exchange
    return Slot(target.slot.recipe, pool.name, None if exchange == pool.exchange else exchange)


def _last_close(target: Target, now: pd.Timestamp) -> pd.Timestamp:
    """Of a pool, the last moment that every member is known to."""
    return min(_close_of(target, market, now) for market in target.market.members)


def _close_of(target: Target, market: Market, now: pd.Timestamp) -> pd.Timestamp:
    newest = newest_candle(target, market, now)
    if newest is None:
        raise DataError(
            f"no candles of {market.name}",
            where=f"exchange={target.plan.run.exchange}",
            fix="name where they are (exchange=replay exchange.root=FOLDER), or sync first",
        )
    return newest + duration(target.plan.run.timeframe)
