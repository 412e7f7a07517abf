"""``vintage data sync``: bring a market's candles up to date."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from pipeline.commands.arguments import checkout
from pipeline.commands.candle_bar import candle_bar
from pipeline.commands.sync_story import Came, facts, story
from pipeline.config import home
from pipeline.configuration.choices import KEYS, unknown_key
from pipeline.errors import ConfigError
from pipeline.market.candles import duration, moment
from pipeline.market.holes import KINDS
from pipeline.market.plan import Ends
from pipeline.market.pool import Pool
from pipeline.market.sync import How, sync
from pipeline.operations.retraining.revisions import mark_revised
from pipeline.operations.target import Target, resolve
from pipeline.operations.walk.fetching import require_candles
from pipeline.stages.download import Config, span
from registry.versions import Registry

LONGEST_DAYS = 36_500
OWN = ("days", "since")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Words of this verb alone, and those that choose a slot."""

    days: float | None
    since: pd.Timestamp | None
    words: list[str]


def main(asked: argparse.Namespace) -> int:
    """Fetch what is missing, tell what came; of a pool, member after member."""
    wanted, now = _wanted(asked.words), pd.Timestamp.now(tz="UTC")
    with candle_bar("sync") as bar:
        bar.note("asking for the newest candle")
        pool = resolve(wanted.words, checkout() / "conf", home(), now, bar.note)
        start, end = _ends(wanted, pool)
        how = How(now=now, notify=bar.candles, force=asked.force, repair=asked.repair)
        members = [replace(pool, market=market) for market in pool.market.members]
        every = [_sync(target, start, end, how) for target in members]
    told = [facts(came) for came in every]
    if asked.json:
        print(json.dumps({"members": told} if isinstance(pool.market, Pool) else told[0]))
    else:
        print("\n".join(line for came in every for line in story(came, how)))
    for came in every:
        require_candles(came.report, start, end, "another span (since=, days=)")
    return 0


def _sync(target: Target, start: pd.Timestamp, end: pd.Timestamp, how: How) -> Came:
    assert how.now is not None
    timeframe, held = target.plan.run.timeframe, target.store.sources(target.series)
    instrument = target.only_market.instrument
    report = sync(target.store, target.exchange, instrument, timeframe, start, end, how)
    registry = Registry(home() / "models" / "registry")
    marked = mark_revised(registry, target.store, target.series, how.now)
    missing, others = _missing(target, start, end), _others(target, held)
    return Came(report, target, start, missing, others, marked)


def _wanted(words: Sequence[str]) -> _Wanted:
    if not words:
        raise ConfigError(
            "which candles?",
            where="vintage data sync",
            expected="market=MARKET or recipe=RECIPE, and days=60 or since=MOMENT for another "
            "span than the recipe's",
            fix="vintage data sync market=KRW-BTC days=60; vintage data --help tells the rest",
        )
    given: dict[str, str] = {}
    rest = []
    for word in words:
        key, _, value = word.partition("=")
        if key in OWN:
            given[key] = value
        elif key.isidentifier() and key not in KEYS:
            raise unknown_key(key, value, OWN)
        else:
            rest.append(word)
    if len(given) > 1:
        raise ConfigError("days and since both say where to begin", fix="give one of them")
    since = moment(given["since"], "since") if "since" in given else None
    return _Wanted(_days(given["days"]) if "days" in given else None, since, rest)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = float("nan")
    if not 0 < days <= LONGEST_DAYS:
        raise ConfigError("days is no number of days", found=repr(text), expected="such as days=60")
    return days


def _ends(wanted: _Wanted, target: Target) -> Ends:
    start, end = span(Config.parse(target.plan.stages["download"], "download"))
    if wanted.since is not None:
        start = wanted.since
    elif wanted.days is not None:
        start = end - pd.Timedelta(wanted.days, unit="D")
    if start >= end:
        raise ConfigError(
            "the span is empty",
            where="since",
            found=start.isoformat(),
            expected=f"before {end.isoformat()}, the close of the last candle",
        )
    return start.floor(duration(target.plan.run.timeframe)), end


def _missing(target: Target, start: pd.Timestamp, end: pd.Timestamp) -> dict[str, int]:
    holes = target.store.holes(target.series, start, end)
    return {kind: sum(hole.candles for hole in holes if hole.kind == kind) for kind in KINDS}


def _others(target: Target, held: dict[str, int]) -> dict[str, int]:
    """Candles that came now from another source than the feed's own."""
    now = target.store.sources(target.series)
    more = {name: count - held.get(name, 0) for name, count in now.items()}
    return {name: count for name, count in more.items() if count > 0 and name != target.series.feed}
