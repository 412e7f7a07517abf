"""How a backtest traded, and what it paid to hold, as sentences."""

from __future__ import annotations

from typing import Any

from pipeline.evaluation.backtest.profile import Level


def rules(profile: dict[str, Any]) -> str:
    """A profile in words; levels always say what they are a share of.

    Examples
    --------
    >>> told = {"venue": "spot", "positions": 1, "leverage": 1.0, "thresholds": "stated",
    ...         "long_threshold": 0.6, "short_threshold": 0.6, "max_holding": None,
    ...         "stop_loss": {"share": 0.02, "basis": "price"}, "take_profit": None,
    ...         "fill": "next_open"}
    >>> rules(told)
    'spot, bought from 0.6, 1 at a time at most, stop 2 % of the price, filled at the next open'
    """
    parts = [profile["venue"], *_entered(profile), f"{profile['positions']} at a time at most"]
    if profile["leverage"] != 1:
        parts.append(f"{profile['leverage']:g} times the margin")
    for key, word in (("stop_loss", "stop"), ("take_profit", "profit")):
        if level := profile[key]:
            parts.append(f"{word} {level_words(level, profile['leverage'])}")
    if profile["max_holding"]:
        parts.append(f"held {profile['max_holding']} at most")
    fill = profile["fill"].replace("_", " ")
    optimistic = " that decided (optimistic)" if profile["fill"] == "same_close" else ""
    return ", ".join([*parts, f"filled at the {fill}{optimistic}"])


def level_words(level: dict[str, Any], leverage: float) -> str:
    """A distance from the entry and what it is a share of.

    Examples
    --------
    >>> level_words({"share": 0.01, "basis": "equity"}, 4.0)
    '1 % of the margin (0.25 % of the price)'
    """
    own = f"{100 * level['share']:g} % of the"
    if level["basis"] == "price":
        return f"{own} price"
    return f"{own} margin ({100 * Level.model_validate(level).of_price(leverage):g} % of the price)"


def funding_words(facts: dict[str, Any]) -> str:
    """Which payments were recorded and which assumed.

    Examples
    --------
    >>> funding_words({"assumed_bps": 0.7, "assumed_hours": 8.0, "assumed_payments": 41})
    'assumed: 0.7 bp of the position every 8 h, 41 payments'
    """
    payments, bps = facts["assumed_payments"], facts["assumed_bps"]
    assumed = "none is assumed"
    if bps is not None:
        assumed = f"{bps:g} bp of the position every {facts['assumed_hours']:g} h"
    if "table" not in facts:
        return assumed if bps is None else f"assumed: {assumed}, {payments} payments"
    mean = facts["recorded_mean_bps"]
    found = f"recorded: {facts['recorded_payments']} payments of {facts['table']}" + (
        "" if mean is None else f", {mean:.3g} bp in the mean"
    )
    outside = f"outside of its span {assumed}" + (f", {payments} payments" if payments else "")
    gap = facts["longest_gap_hours"]
    held = facts["assumed_hours"]
    hole = f"; longest gap in it {gap:g} h, where nothing was paid" if held and gap > held else ""
    return f"{found}; {outside}{hole}"


def _entered(profile: dict[str, Any]) -> list[str]:
    if profile["thresholds"] == "folds":
        return ["entered from what earned most before each fold"]
    short = f" and sold short from {profile['short_threshold']:g}"
    return [
        f"bought from {profile['long_threshold']:g}{short if profile['venue'] == 'swap' else ''}"
    ]
