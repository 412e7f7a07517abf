"""Every mistake that the predecessors made, each caught by a check of its own."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.experiments.caught.declared import Declared, Mistake
from pipeline.experiments.caught.of_parts import (
    AHEAD,
    BACKWARD,
    FILLED,
    QUANTILE,
    SCALED_BY_ALL,
    back_fill,
    backward_label,
    full_sample_quantile,
    looks_ahead,
    scaler_on_all_data,
)
from pipeline.experiments.caught.of_rows import (
    ACROSS_TRADES,
    IN_SAMPLE,
    SEVERAL_COINS,
    SHUFFLED,
    in_sample_backtest,
    one_model_for_several_coins,
    shuffled_across_trades,
    shuffled_split,
)

Check = Callable[[Declared], Mistake | None]
CHECKS: dict[str, Check] = {
    SHUFFLED: shuffled_split,
    BACKWARD: backward_label,
    IN_SAMPLE: in_sample_backtest,
    ACROSS_TRADES: shuffled_across_trades,
    QUANTILE: full_sample_quantile,
    SCALED_BY_ALL: scaler_on_all_data,
    FILLED: back_fill,
    SEVERAL_COINS: one_model_for_several_coins,
    AHEAD: looks_ahead,
}


def caught(parts: Declared) -> tuple[Mistake, ...]:
    """What every check finds in one head."""
    found = (check(parts) for check in CHECKS.values())
    return tuple(each for each in found if each is not None)
