"""``vintage predict``: what the champion says at the newest candle."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from pipeline import log
from pipeline.commands.arguments import checkout, parse, parser, with_words
from pipeline.commands.console import progress
from pipeline.config import home
from pipeline.live.signals import Signal
from pipeline.operations.serve import predict
from pipeline.operations.target import resolve
from registry.versions import Registry

STALE_HOURS = 48
EXAMPLES = (
    "vintage predict recipe=demo",
    "vintage predict recipe=upbit_hourly exchange=replay market=KRW-SOL --json",
)


def main(argv: Sequence[str]) -> int:
    """Load the champion and print its signal."""
    made = parser("predict", "The champion's signal on the newest candle.", EXAMPLES)
    made.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parse(with_words(made), argv)
    now = pd.Timestamp.now(tz="UTC")
    with progress("predict") as show:
        target = resolve(asked.words, checkout() / "conf", home(), now, show)
        show(str(target.slot))
        signal = predict(target, Registry(home() / "models" / "registry"))
    age = (now - pd.Timestamp(signal.known_at)) / pd.Timedelta(hours=1)
    facts = {**signal.to_dict(), "age_hours": round(age, 2)}
    log.event("signal", **facts)
    print(json.dumps(facts) if asked.json else _story(signal, age))
    return 0


def _story(signal: Signal, age: float) -> str:
    lines = [
        f"{signal.market}  {signal.action}   (candle {signal.candle[:16].replace('T', ' ')} UTC, "
        f"{signal.slot} {signal.version})",
        "",
        f"  buy   {signal.buy_probability:6.1%}   confidence {signal.confidence:.3f}  "
        "(top minus second probability)",
        f"  hold  {signal.hold_probability:6.1%}   strength   {signal.strength:.3f}  "
        "(larger of buy and sell)",
        f"  sell  {signal.sell_probability:6.1%}   emergency  {signal.emergency_score:.3f}  "
        "(sell times confidence)",
    ]
    if signal.action == "HOLD" and signal.strength > signal.hold_probability:
        needed = f"{signal.action_threshold:.0%}"
        lines += ["", f"  HOLD: no side is above the {needed} that it takes to act."]
    if age > STALE_HOURS:
        lines += ["", f"  Old: this candle closed {age / 24:.0f} days ago."]
    if signal.is_in_sample:
        until = signal.trained_until[:16].replace("T", " ")
        lines += ["", f"  In sample: {signal.version} knows candles up to {until} UTC."]
    if signal.mode == "observe":
        lines += ["", "  Observed only: this version has not shown skill over its baselines."]
    return "\n".join(lines)
