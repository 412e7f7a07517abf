"""Trade what a registered version said out of fold, without training anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.config import Node
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.backtest import Profile, Setup
from pipeline.evaluation.backtest.funding import RecordedFunding
from pipeline.evaluation.comparison import OutOfFold
from pipeline.evaluation.trading import Predicted, Trading, trade
from pipeline.fitting.trial import digest_of
from pipeline.market.candles import duration
from pipeline.market.exchanges.base import Market
from pipeline.market.pool import Pool, member_of, parse_market
from pipeline.market.store import CandleStore, Series
from pipeline.operations.retraining.candidate import out_of_fold_of
from pipeline.operations.target import UNKNOWN_YET, Target, resolve
from pipeline.operations.versions.funding_table import read_funding
from pipeline.operations.versions.serve import serving_slot
from registry.errors import RegistryError
from registry.manifest import VerifiedBundle
from registry.pointers import champion
from registry.slots import Slot
from registry.trials import Trial, count_trials, record_trial
from registry.versions import Registry

CARD_PLACE = "card.json: config.evaluate"
NAMES_A_SLOT = ("recipe", "exchange", "market")


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose rows are traded: words that name a slot, or a slot, and a version of it.

    `funding` is a table of recorded payments, which go before the market's assumed ones.
    """

    words: tuple[str, ...]
    slot: Slot | None = None
    version: str | None = None
    funding: Path | None = None


@dataclass(frozen=True, slots=True)
class Backtested:
    """A version's backtest; `trials` is how many configurations its slot has tried."""

    slot: Slot
    version: str
    trading: Trading
    trials: int

    def facts(self) -> dict[str, Any]:
        """Everything but the tables, ready for JSON."""
        return {
            "slot": str(self.slot),
            "version": self.version,
            "trials": self.trials,
            **self.trading.facts(),
            "deflated_sharpe": self.trading.deflated_sharpe(self.trials),
        }


def backtest_version(asked: Asked, conf: Path, home: Path) -> Backtested:
    """Backtest the out-of-fold rows that a version carries, on candles of the store.

    Of a pool's version, the rows of the member that words name; its champion is taken where the
    member has no version of its own.

    Profile and costs are those the version was evaluated with, unless words name others. Another
    profile than its own counts as a trial of the slot: the best of many is high by luck.

    Raises
    ------
    ConfigError
        When a word names nothing, or the heads say nothing that can be traded.
    RegistryError
        When there is no such version, or its files do not verify.
    DataError
        When the store does not hold the candles.
    """
    target = _target(asked, conf, home)
    _require_one(asked, target)
    registry = Registry(home / "models" / "registry")
    slot = target.slot if registry.versions(target.slot) else serving_slot(target, registry)
    verified = registry.open(slot, asked.version or _served(registry, slot))
    card = verified.card()
    setup = _setup(asked, card, target)
    heads = {name: _predicted(each, setup) for name, each in out_of_fold_of(verified).items()}
    candles = _candles(target.store, card, setup, heads)
    trading = trade(heads, candles, setup, setup.profile.execution(setup.timeframe))
    if trading.result is None:
        raise ConfigError(
            trading.why_not, where=f"{slot} {verified.version}", fix="name another slot"
        )
    _count(registry.root, slot, verified, setup.profile)
    trials = max(count_trials(registry.root, slot), 1)
    return Backtested(slot, verified.version, trading, trials)


def _target(asked: Asked, conf: Path, home: Path) -> Target:
    words = [*asked.words]
    if asked.slot:
        if named := [word for word in words if _key(word) in NAMES_A_SLOT]:
            raise ConfigError(
                "a slot was given, and words that name one",
                found=f"{asked.slot} {' '.join(named)}",
                fix="give one of the two",
            )
        words += [f"recipe={asked.slot.recipe}", f"market={asked.slot.market}"]
        words += [f"exchange={asked.slot.exchange}"] if asked.slot.exchange else []
    if any(_key(word) == "as_of" for word in words):
        raise ConfigError("a version's out-of-fold rows end where they end", fix="leave out as_of")
    return resolve([*words, f"as_of={UNKNOWN_YET}"], conf, home, pd.Timestamp(UNKNOWN_YET))


def _require_one(asked: Asked, target: Target) -> None:
    if asked.slot and isinstance(target.market, Pool):
        raise ConfigError(
            "the slot is that of several markets, each of which is traded on its own",
            found=str(asked.slot),
            fix=f"name one: vintage backtest recipe={asked.slot.recipe} "
            f"market={target.market.members[0].name}"
            + (f" exchange={asked.slot.exchange}" if asked.slot.exchange else ""),
        )


def _served(registry: Registry, slot: Slot) -> str:
    """The champion, or the newest version where there is none."""
    if pointer := champion(registry.root, slot):
        return pointer.version
    if versions := registry.versions(slot):
        return versions[-1].version
    raise RegistryError(
        f"there is no version yet ({slot}). To do: vintage retrain recipe={slot.recipe} "
        f"market={slot.market}{f' exchange={slot.exchange}' if slot.exchange else ''}."
    )


def _setup(asked: Asked, card: Node, target: Target) -> Setup:
    told = card["config"]["evaluate"]
    profile, market = target.plan.run.backtest, target.only_market
    if "backtest" in told and not _names(asked.words, "backtest"):
        profile = Profile.parse(told["backtest"], f"{CARD_PLACE}.backtest")
    if "traded" in told and not _names(asked.words, "market"):
        market = member_of(parse_market(told["traded"], f"{CARD_PLACE}.traded"), market.name)
    profile.execution(card["timeframe"])
    return Setup(profile, market, card["timeframe"], recorded=_recorded(asked, profile, market))


def _recorded(asked: Asked, profile: Profile, market: Market) -> RecordedFunding | None:
    if asked.funding is None:
        return None
    if profile.venue != "swap":
        raise ConfigError(
            "a position on a spot venue pays no funding",
            where="--funding",
            found=str(asked.funding),
            fix="leave it out, or name a profile of a swap: backtest=bingx_futures",
        )
    return read_funding(asked.funding, market.funding)


def _predicted(head: OutOfFold, setup: Setup) -> Predicted:
    rows = head.frame[head.frame.index.get_level_values("market") == setup.market.name]
    return Predicted(rows, head.classes)


def _names(words: Sequence[str], group: str) -> bool:
    keys = [_key(word).removeprefix("set.") for word in words]
    return any(key.startswith(f"{group}.") or key == group == "backtest" for key in keys)


def _key(word: str) -> str:
    return word.lstrip("+").partition("=")[0]


def _candles(
    store: CandleStore, card: Node, setup: Setup, heads: dict[str, Predicted]
) -> pd.DataFrame:
    timeframe = setup.profile.execution(setup.timeframe)
    series = Series(card["feed"], setup.market.name, timeframe)
    times = [joined.index.get_level_values("time") for joined, _ in heads.values()]
    step = duration(setup.timeframe)
    first, last = min(map(min, times)) + step, max(map(max, times)) + step
    candles = store.read(series, pd.Timestamp(card["data"]["first"]), last + duration(timeframe))
    if candles.empty or candles.index[0] > first or candles.index[-1] + duration(timeframe) < last:
        held = "none"
        if len(candles):
            held = f"{candles.index[0].isoformat()} to {candles.index[-1].isoformat()}"
        raise DataError(
            "the store does not hold the candles that orders are filled on",
            where=str(series),
            found=held,
            expected=f"{first.isoformat()} to {last.isoformat()}",
            fix="vintage data sync or import, or a profile on candles that are there",
        )
    return candles


def _count(root: Path, slot: Slot, verified: VerifiedBundle, profile: Profile) -> None:
    card = verified.card()
    stages = {name: told for name, told in card["config"].items() if name != "signal"}
    told = profile.model_dump(mode="json")
    if stages["evaluate"].get("backtest") == told:
        return
    tried = {**stages, "evaluate": {**stages["evaluate"], "backtest": told}}
    models = sorted({head["model"] for head in card["heads"].values()})
    choices = {"version": verified.version, "backtest": told}
    trial = Trial(digest_of(tried), ", ".join(models), choices, "backtest")
    record_trial(root, slot, trial)
