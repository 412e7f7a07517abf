"""The moment of a walk: ``last`` and ``now`` are found once for what shares an exchange."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from pipeline.configuration.choices import LAST
from pipeline.errors import RetryLater
from pipeline.market.candles import duration
from pipeline.operations.caught import Caught
from pipeline.operations.target import Opened, known_at
from pipeline.operations.walk.fetching import stored_close

Found = dict[int, pd.Timestamp | Exception | None]


def moments(opened: Mapping[int, Opened], now: pd.Timestamp, fetch: bool) -> Found:
    """The moment of each slot, or the error that kept it from being found; None: as it says.

    As soon as one market has the newest candle there can be, that is ``last`` for all slots of
    its exchange and timeframe, and no other is asked. Where none has it, each slot's last candle
    is its own. An exchange that does not answer is asked once.

    Parameters
    ----------
    opened
        Slots that were opened by words with the same ``as_of``, by their numbers.
    fetch
        Whether the exchange may be asked; else the store tells the last candle.
    """
    groups: dict[tuple[str, str], dict[int, Opened]] = {}
    for key, each in opened.items():
        run = each.target.plan.run
        groups.setdefault((run.feed, run.timeframe), {})[key] = each
    found: Found = {}
    for group in groups.values():
        found |= _of_group(group, now, fetch)
    return found


def _of_group(group: Mapping[int, Opened], now: pd.Timestamp, fetch: bool) -> Found:
    found: Found = {}
    for key, opened in group.items():
        caught = Caught()
        with caught:
            found[key] = _of_slot(opened, now, fetch)
        if caught.error is not None:
            found[key] = caught.error
        if fetch and _is_for_all(found[key], opened, now):
            return dict.fromkeys(group, found[key])
    return found


def _is_for_all(found: pd.Timestamp | Exception | None, opened: Opened, now: pd.Timestamp) -> bool:
    newest = now.floor(duration(opened.target.plan.run.timeframe))
    known = isinstance(found, pd.Timestamp) and found == newest
    return opened.sentinel == LAST and (known or isinstance(found, RetryLater))


def _of_slot(opened: Opened, now: pd.Timestamp, fetch: bool) -> pd.Timestamp | None:
    if not opened.sentinel:
        return None
    if opened.sentinel == LAST and not fetch:
        return stored_close(opened.target)
    return known_at(opened, now)
