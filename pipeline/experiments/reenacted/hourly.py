"""The hourly classifier: 81 to 87 % of its answers right, tested on hours between those it learnt.

Its network saw 24 hours and named the next 24: sell, hold or buy, by 1 %.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.build import build
from pipeline.errors import ConfigError
from pipeline.experiments.reenacted.entries import Head, head_of
from pipeline.experiments.reenacted.figures import (
    Beside,
    Figure,
    Given,
    Reenacted,
    Reenactment,
)
from pipeline.experiments.reenacted.hourly_pictures import pictures
from pipeline.experiments.reenacted.hourly_words import (
    COLUMNS,
    DIFFERS,
    RETRAINED,
    RETRAINED_MARKET,
    UNRECORDED,
    WHY,
    claim,
)
from pipeline.experiments.reenacted.hours import copied, cut_anyhow, cut_by_time, judged
from pipeline.experiments.reenacted.old_features import samples_as_then
from pipeline.experiments.reenacted.old_network import Cut, OldHybrid, fit_and_ask
from pipeline.models.base import Samples

HEAD = "direction"
CLASSES = ("sell", "hold", "buy")
Values = dict[str, float | None]
CLAIMED_FROM = pd.Timestamp("2025-08-28T11:00Z")


@dataclass(frozen=True, slots=True)
class _Asked:
    """Labelled hours, and both ways to cut them."""

    samples: Samples
    shuffled: Cut
    by_time: Cut


def reenact(given: Given, model: OldHybrid | None = None) -> tuple[Reenacted, ...]:
    """The claim beside the same model, and no model at all, tested as then and on later hours.

    Raises
    ------
    ConfigError
        When the recipe has no head that says sell, hold or buy.
    """
    _require_head(given)
    market = given.plan.run.market.name
    head = head_of(given.candles, given.plan, HEAD)
    samples = samples_as_then(head, given.candles, given.plan, HEAD)
    asked = _Asked(samples, cut_anyhow(samples, head.seed), cut_by_time(samples))
    measured = tuple(_measured(given, head, asked, model or OldHybrid()))
    claimed = [each for each in (claim(market), _again(market)) if each is not None]
    found = Reenacted(
        name=f"hourly-{market}",
        title=f"Hourly classifier · {given.feed} · {market} · {given.plan.run.timeframe}",
        claim=_claim(claimed),
        told=_told(given, asked),
        columns=COLUMNS,
        figures=(*claimed, *measured),
        differs=DIFFERS,
        beside=tuple(Beside(each.name, "shuffled", "by_time") for each in claimed),
        unknown=tuple(_unknown(given.candles)),
        pictures=pictures(given.candles, asked.samples, asked.shuffled, asked.by_time),
    )
    return (found,)


def _measured(given: Given, head: Head, asked: _Asked, model: OldHybrid) -> Iterator[Figure]:
    cut, samples = asked.shuffled, asked.samples
    told, _ = _fitted(given, (samples, cut), model, head.seed)
    yield _figure("shuffled", told)
    answers = copied(samples, np.union1d(cut.train, cut.validation), cut.test)
    yield _figure("copied", judged(answers, samples.label[cut.test], CLASSES))
    own = replace(model, scaled_by_all=False)
    told, same_hours = _fitted(given, (samples, asked.by_time), own, head.seed)
    yield _figure("by_time", told)
    yield _figure("commonest", same_hours)
    yield _figure("out_of_fold", _out_of_fold(given, head))


def _fitted(
    given: Given, rows: tuple[Samples, Cut], model: OldHybrid, seed: int
) -> tuple[Values, Values]:
    """What the network was right in, and what always the commonest label is right in."""
    given.tell(f"fitting the network of {given.plan.run.market.name}")
    samples, cut = rows
    told = fit_and_ask(samples, cut, model, np.random.default_rng([seed, 0]))
    happened = samples.label[cut.test]
    commonest = np.bincount(samples.label[cut.train], minlength=len(CLASSES)).argmax()
    same = np.full(len(happened), commonest, np.intp)
    return judged(told.said, happened, CLASSES, told.loss), judged(same, happened, CLASSES)


def _out_of_fold(given: Given, head: Head) -> Values:
    given.tell(f"fitting {given.plan.run.market.name} fold by fold")
    split = build(given.plan.stages["train"]["split"], "split", given.plan.plugins)
    joined = head.out_of_fold(split).joined
    said = joined[[f"p_{name}" for name in CLASSES]].to_numpy().argmax(axis=1)
    return judged(said, joined["label"].to_numpy("int8"), CLASSES)


def _figure(name: str, values: Values) -> Figure:
    title, standing, why = WHY[name]
    return Figure(name, title, standing, why, values)


def _again(market: str) -> Figure | None:
    return RETRAINED if market == RETRAINED_MARKET else None


def _claim(claimed: list[Figure]) -> str:
    told = [f"{100 * (each.values['accuracy'] or 0):g} %" for each in claimed]
    return f"{' and later '.join(told)} of its answers right." if told else "None for this market."


def _told(given: Given, asked: _Asked) -> dict[str, str]:
    time = pd.DatetimeIndex(given.candles.index)
    by_time = asked.by_time
    parts = ", ".join(str(len(part)) for part in (by_time.train, by_time.validation, by_time.test))
    return {
        "candles": f"{len(time)} of {given.plan.run.timeframe}, {time[0]:%Y-%m-%d %H:%M} to "
        f"{time[-1]:%Y-%m-%d %H:%M} UTC, feed {given.feed}",
        "hours": f"{len(asked.samples.rows)} with features and an answer; by time {parts} to fit "
        "on, to choose the epoch by and to be tested on",
        "models": "LSTM of 2 layers of 128, 32 outputs, LightGBM on them; out of fold "
        + given.plan.run.models[HEAD].rpartition(".")[2],
    }


def _unknown(candles: pd.DataFrame) -> Iterator[str]:
    start = pd.DatetimeIndex(candles.index)[0]
    if start > CLAIMED_FROM:
        days = (start - CLAIMED_FROM).days
        yield UNRECORDED.format(start=f"{start:%Y-%m-%d}", days=days)


def _require_head(given: Given) -> None:
    heads = given.plan.stages["train"]["heads"]
    if tuple(heads.get(HEAD, {}).get("classes", ())) != CLASSES:
        raise ConfigError(
            "the recipe has no head that says sell, hold or buy",
            where=f"recipe={given.plan.run.recipe}",
            found=", ".join(heads),
            expected=f"{HEAD} with the classes {', '.join(CLASSES)}",
            fix="leave recipe and label out, or name recipe=upbit_hourly",
        )


HOURLY = Reenactment(
    name="hourly",
    summary="the hourly classifier: 85 % of its answers right",
    recipe="upbit_hourly",
    run=reenact,
    markets={
        "KRW-BTC": ("as_of=2025-11-16T15:00Z",),  # the last of the claimed hours
        "KRW-ETH": (),
        "KRW-XRP": (),
        "KRW-SOL": (),
    },
)
