"""What makes a result less than it looks."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.backtest.figures import DAYS_A_YEAR, Figures
from pipeline.evaluation.backtest.funding import BASIS_POINT
from pipeline.evaluation.backtest.profile import Profile
from pipeline.evaluation.backtest.windows import WINDOW_DAYS
from pipeline.market.exchanges.base import Market

BEARABLE = 10.0  # times the equity in a year
NARROW = 3.0  # times the costs of a round trip


def flags(
    profile: Profile,
    market: Market,
    figures: Figures,
    windows: Figures,
    horizon_minutes: int | None,
) -> dict[str, str]:
    """Short names, each with one sentence that says why."""
    told = _of_costs(profile, market)
    if profile.fill == "same_close":
        told["optimistic_fill"] = (
            "Orders are filled at the close that decided them, which nobody gets: optimistic."
        )
    limit = profile.holding_minutes
    if horizon_minutes is not None and limit is not None and horizon_minutes > limit:
        told["horizon_beyond_holding"] = (
            f"The label looks {_hours(horizon_minutes)} ahead, but positions are held "
            f"{_hours(limit)} at most: what was learnt is not what is traded."
        )
    growth = _growth(figures, windows)
    if growth > BEARABLE:
        told["unbearable_compounding"] = (
            f"At this pace the equity would grow more than {BEARABLE:g} times in a year, which no "
            "market could bear: look for rows that were trained on, or for fills nobody gets."
        )
    if figures["open_at_end"]:
        told["open_at_end"] = (
            f"Still open at the end and counted at the last close: {figures['open_at_end']}."
        )
    return told


def _of_costs(profile: Profile, market: Market) -> dict[str, str]:
    told = {}
    if profile.venue == "swap" and market.funding is None:
        told["spot_market"] = (
            f"{market.name} knows no funding, as a spot market: nobody sells it short or lends on "
            "it, which this profile does."
        )
    trip = 2 * (market.fee_bps + market.slippage_bps) * BASIS_POINT
    stop = profile.stop_loss.of_price(profile.leverage) if profile.stop_loss else np.inf
    if stop < NARROW * trip:
        told["narrow_stop"] = (
            f"The stop lies {stop:.2%} of the price away, and buying and selling costs {trip:.2%} "
            "of it: much of what is lost is costs."
        )
    return told


def _growth(figures: Figures, windows: Figures) -> float:
    """Times the equity in a year, by the whole run or by the mean window, whichever is more."""
    annual = figures["annual_return"]
    whole = np.inf if annual is None and figures["trades"] else (annual or 0.0) + 1.0
    mean = windows["return"]
    by_window = 0.0 if mean is None else max(1.0 + mean, 0.0) ** (DAYS_A_YEAR / WINDOW_DAYS)
    return float(max(whole, by_window))


def _hours(minutes: int) -> str:
    return f"{minutes / 60:g} h"
