"""The dual-model bot: +14.98 % in five days, by models that had seen the rows they traded.

Its measure was the mean return of windows of five days, a day apart, each from the same start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from pipeline.build import build
from pipeline.configuration.plan import Plan
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.backtest import Result, Setup
from pipeline.evaluation.backtest.windows import WINDOW_DAYS, summary
from pipeline.evaluation.trading import trade
from pipeline.experiments.reenacted.dual_rules import cheap, honest_profile, trade_as_then
from pipeline.experiments.reenacted.dual_words import (
    AHEAD,
    CLAIM,
    CLAIMED,
    COLUMNS,
    DIFFERS,
    HONEST_FIGURES,
    HONEST_WHY,
    PUBLISHED,
    WHY,
)
from pipeline.experiments.reenacted.entries import (
    CLASSES,
    HEADS,
    SHORT,
    Head,
    entry_heads,
    relabelled,
    spoken,
)
from pipeline.experiments.reenacted.figures import (
    Beside,
    Figure,
    Given,
    Reenacted,
    Reenactment,
)
from pipeline.experiments.reenacted.published_label import PublishedShort
from pipeline.market.pool import only_market

TEST_SHARE = 0.3
THRESHOLD = 0.003


@dataclass(frozen=True, slots=True)
class _Run:
    """Heads and candles of one market, and how it is traded."""

    given: Given
    heads: Mapping[str, Head]
    setup: Setup

    @property
    def cheap(self) -> Setup:
        """The setup at the claimed fee."""
        return replace(self.setup, market=cheap(self.setup.market))


def reenact(given: Given) -> tuple[Reenacted, ...]:
    """The claim beside the same bot in sample, out of sample, at real costs, and honestly.

    Raises
    ------
    ConfigError
        When the recipe has no entry heads of candles.
    """
    _require_heads(given.plan)
    facts = given.plan.run
    setup = Setup(facts.backtest, only_market(facts.market), facts.timeframe)
    run = _Run(given, entry_heads(given.candles, given.plan), setup)
    figures = (
        CLAIMED,
        *_three(run, AHEAD),
        *_honest(run),
        *_three(_with_published(run), PUBLISHED),
    )
    found = Reenacted(
        name="dual",
        title=f"Dual-model bot · {given.feed} · {facts.market.name} · {facts.timeframe}",
        claim=CLAIM,
        told=_told(given),
        columns=COLUMNS,
        figures=figures,
        differs=DIFFERS,
        beside=(Beside("claimed", "in_sample_published", "honest_stated"),),
    )
    return (found,)


def _three(run: _Run, group: str) -> Iterator[Figure]:
    given = run.given
    given.tell(f"fitting and trading the same rows; {group.lower()}")
    known = spoken({name: head.in_sample() for name, head in run.heads.items()})
    yield _figure("in_sample", group, trade_as_then(given.candles, known, run.cheap))
    given.tell(f"fitting older rows, trading newer ones; {group.lower()}")
    new = spoken({name: head.on_newest(TEST_SHARE) for name, head in run.heads.items()})
    yield _figure("out_of_sample", group, trade_as_then(given.candles, new, run.cheap))
    yield _figure("real_costs", group, trade_as_then(given.candles, new, run.setup))


def _honest(run: _Run) -> Iterator[Figure]:
    given, plan = run.given, run.given.plan
    given.tell("fitting fold by fold")
    split = build(plan.stages["train"]["split"], "split", plan.plugins)
    rows = {name: head.out_of_fold(split) for name, head in run.heads.items()}
    for thresholds, name, title in HONEST_FIGURES:
        setup = replace(run.setup, profile=honest_profile(run.setup.profile, thresholds))
        done = trade(rows, given.candles, setup)
        if done.result is None:
            raise ConfigError(done.why_not, where="backtest", fix="choose backtest=bingx_futures")
        why = HONEST_WHY[thresholds]
        yield Figure(name, title, "honest", why, _values(done.result), AHEAD)


def _with_published(run: _Run) -> _Run:
    label, given = PublishedShort(threshold=THRESHOLD), run.given
    short = relabelled(run.heads[SHORT], label, given.candles, given.plan)
    return _Run(given, {**run.heads, SHORT: short}, run.setup)


def _figure(name: str, group: str, done: Result) -> Figure:
    title, standing, why = WHY[name]
    own = name if group == AHEAD else f"{name}_published"
    return Figure(own, title, standing, why, _values(done), group)


def _values(done: Result) -> dict[str, float | None]:
    found = summary(done.first.windows)
    if not found["windows"]:
        raise DataError(
            f"fewer than {WINDOW_DAYS} days of rows to trade, so there is no window",
            fix="give more history: recipe.history_days=20 or more",
        )
    long = found["long_share"]
    return {
        **{name: found[name] for name in ("return", "win_rate", "long_share")},
        "short_share": None if long is None else 1.0 - long,
        "trades": found["trades"],
        "windows": found["windows"],
        "held": found["change"],
    }


def _told(given: Given) -> dict[str, str]:
    time = pd.DatetimeIndex(given.candles.index)
    models = dict.fromkeys(given.plan.run.models[name].rpartition(".")[2] for name in HEADS)
    return {
        "candles": f"{len(time)} of {given.plan.run.timeframe}, {time[0]:%Y-%m-%d %H:%M} to "
        f"{time[-1]:%Y-%m-%d %H:%M} UTC, feed {given.feed}",
        "models": ", ".join(models),
        "measure": f"mean of windows of {WINDOW_DAYS} days, a day apart, each from the same start; "
        f"they overlap, so {WINDOW_DAYS} are worth about one",
        "held": "what the price itself did in these windows",
    }


def _require_heads(plan: Plan) -> None:
    heads = plan.stages["train"]["heads"]
    if any(tuple(heads.get(name, {}).get("classes", ())) != CLASSES for name in HEADS):
        raise ConfigError(
            "the recipe has no heads that say when to enter long and short",
            where=f"recipe={plan.run.recipe}",
            found=", ".join(heads),
            expected=f"{' and '.join(HEADS)} with the classes {' and '.join(CLASSES)}",
            fix="leave recipe and label out, or name a recipe with these heads: recipe=bingx_dual",
        )


DUAL = Reenactment(
    name="dual",
    summary="the dual-model bot: +14.98 % in five days",
    recipe="bingx_dual",
    run=reenact,
)
