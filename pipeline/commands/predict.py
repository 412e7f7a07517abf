"""``vintage predict``: what every head of the champion says at the newest candle."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence

import pandas as pd

from pipeline import log
from pipeline.commands.arguments import checkout, parse, parser, with_words
from pipeline.commands.console import progress
from pipeline.config import home
from pipeline.live.answers import NO_TRADE, Answer, HeadAnswer, Moment
from pipeline.live.said import Said
from pipeline.live.signals import CLASSES, HOLD, Signal
from pipeline.operations.retraining.challenger import CHALLENGER
from pipeline.operations.target import resolve
from pipeline.operations.versions.serve import keep, predict
from registry.versions import Registry

STALE_HOURS = 48
SUMMARY = """\
What the champion says at the newest candle, head by head.

A head of sell, hold and buy gives a signal. long_entry and short_entry give the probability of
entering, beside the threshold of the backtest profile. An exit head speaks of an open trade, and
none is given here. Other heads, such as high_vol, give the probability of each class.

Every answer is kept in logs/signals, once for each version and candle. A challenger is asked as
well: what it says is kept beside the answer, or is the answer at its share of the candles.
"""
EXAMPLES = (
    "vintage predict recipe=demo",
    "vintage predict recipe=upbit_hourly exchange=replay market=KRW-SOL --json",
)


def main(argv: Sequence[str]) -> int:
    """Load the champion and print what its heads say."""
    made = parser("predict", SUMMARY, EXAMPLES)
    made.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parse(with_words(made), argv)
    now = pd.Timestamp.now(tz="UTC")
    with progress("predict") as show:
        target = resolve(asked.words, checkout() / "conf", home(), now, show)
        show(str(target.slot))
        said = predict(target, Registry(home() / "models" / "registry"))
    age = (now - pd.Timestamp(said.answer.at.known_at)) / pd.Timedelta(hours=1)
    facts = {**said.to_dict(), "age_hours": round(age, 2)}
    log.event("signal", **facts)
    print(json.dumps(facts) if asked.json else "\n".join([story(said.answer, age), *_beside(said)]))
    for warning in _warnings(said, keep(said, home(), now)):
        sys.stderr.write(f"warning: {warning}\n")
    return 0


def story(answer: Answer, age: float) -> str:
    """Lines for people.

    Parameters
    ----------
    age
        Hours since the candle closed.
    """
    at = answer.at
    name = f"{at.market}  {answer.action}" if answer.action else at.market
    place = f"(candle {_minute(at.candle)} UTC, {at.slot} {at.version})"
    lines = [f"{name}   {place}", "", *(_signal(answer.signal) if answer.signal else [])]
    lines += _heads(answer)
    notes = [note for note in (_held(answer), *_cautions(at, age)) if note]
    return "\n".join([*lines, *(f"\n{note}" for note in notes)])


def _beside(said: Said) -> Iterator[str]:
    """A line on the challenger, as what it answered or beside whom it was asked."""
    if said.beside is None:
        return
    other, own = said.beside, said.answer.at.version
    told = f"{other.at.version} says {_short(other)}"
    if said.role == CHALLENGER:
        share = f"{said.share:.0%} of the candles"
        yield f"\n  Challenger: {own} answers this one of {share}; the champion {told}."
    else:
        yield f"\n  Shadow: the challenger {told}; logged, not acted on."


def _short(answer: Answer) -> str:
    """The action, or the likeliest class of each head where none speaks of entering."""
    if answer.action:
        return answer.action
    heads = {name: head.probability for name, head in answer.heads.items() if head.probability}
    return ", ".join(f"{name} {max(told, key=told.__getitem__)}" for name, told in heads.items())


def _warnings(said: Said, unlogged: str) -> Iterator[str]:
    at = said.answer.at
    if at.stands_in_for:
        yield _stand_in(at)
    if said.why_not:
        yield f"the challenger of {at.slot} said nothing: {said.why_not}"
    if unlogged:
        yield f"the answer is not in the signal log: {unlogged}"


def _stand_in(at: Moment) -> str:
    return (
        f"the champion {at.stands_in_for} of {at.slot} cannot be served, {at.version} answers in "
        f"its place. To do: vintage registry verify {at.slot}, then vintage registry rollback "
        f"{at.slot} or vintage retrain."
    )


def _signal(signal: Signal) -> list[str]:
    return [
        f"  buy   {signal.buy_probability:6.1%}   confidence {signal.confidence:.3f}  "
        "(top minus second probability)",
        f"  hold  {signal.hold_probability:6.1%}   strength   {signal.strength:.3f}  "
        "(larger of buy and sell)",
        f"  sell  {signal.sell_probability:6.1%}   emergency  {signal.emergency_score:.3f}  "
        "(sell times confidence)",
    ]


def _heads(answer: Answer) -> list[str]:
    """A line for each head but the one that the signal is of."""
    heads = dict(answer.heads)
    if answer.signal:
        del heads[next(name for name, head in heads.items() if tuple(head.probability) == CLASSES)]
    width = max(map(len, heads), default=0)
    lines = [f"  {name:<{width}}  {_head(head)}" for name, head in heads.items()]
    return ["", *lines] if answer.signal and lines else lines


def _head(head: HeadAnswer) -> str:
    if not head.probability:
        return head.why_not or NO_TRADE
    shares = "   ".join(f"{name} {value:6.1%}" for name, value in head.probability.items())
    if head.above is None:
        return shares
    reached = "reached" if head.above >= 0 else "not reached"
    return f"{shares}   acts from {head.threshold:.0%}: {reached}"


def _held(answer: Answer) -> str:
    if answer.action != HOLD:
        return ""
    if answer.signal is None:
        return "  HOLD: no entry reaches the probability from which the profile enters."
    if answer.signal.strength <= answer.signal.hold_probability:
        return ""
    needed = f"{answer.signal.action_threshold:.0%}"
    return f"  HOLD: no side is above the {needed} that it takes to act."


def _cautions(at: Moment, age: float) -> Iterator[str]:
    if age > STALE_HOURS:
        yield f"  Old: this candle closed {age / 24:.0f} days ago."
    knows = f"{at.version} knows candles up to {_minute(at.trained_until)} UTC"
    if at.in_sample:
        yield f"  In sample: {knows}."
    else:
        yield f"  Model: {knows}, {_span(at)}."
    if at.mode == "observe":
        yield f"  Observed only: signals, no decisions; vintage registry show {at.slot} tells why."


def _span(at: Moment) -> str:
    """Age of the model when the candle closed."""
    hours = (pd.Timestamp(at.known_at) - pd.Timestamp(at.trained_until)) / pd.Timedelta(hours=1)
    if hours < 1:
        return "this one the newest of them"
    days = 24
    told = f"{hours:.0f} hours" if hours < 2 * days else f"{hours / days:.0f} days"
    return f"{told} before this one closed"


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ")
