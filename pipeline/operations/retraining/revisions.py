"""Versions that learnt from candles whose source changed its mind later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline import log
from pipeline.market.candles import moment
from pipeline.market.pool import MEMBERS
from pipeline.market.revisions import Revision
from pipeline.market.store import CandleStore, Series
from registry.errors import RegistryError
from registry.manifest import REGISTERED
from registry.pointers import champion
from registry.slots import Slot
from registry.versions import Registry

EVENT = "data_revised"
KNOWN = "revisions_known"


@dataclass(frozen=True, slots=True)
class Marked:
    """A champion that was built on candles which have changed since."""

    slot: str
    version: str
    candles: int


def mark_revised(
    registry: Registry, store: CandleStore, series: Series, now: pd.Timestamp
) -> list[Marked]:
    """Note `data_revised`, once, on each champion that was built on candles of a series.

    A version counts as built on a candle when that lies between the first and last of its data,
    and its cut lacks a revision of it: the `registered` event names those that the cut has.
    """
    revisions = store.revisions(series)
    if not revisions:
        return []
    return [_mark(registry, *found, now) for found in _touched(registry, series, revisions)]


def _touched(
    registry: Registry, series: Series, revisions: list[Revision]
) -> Iterator[tuple[Slot, str, list[Revision]]]:
    for slot in registry.slots():
        try:
            pointer = champion(registry.root, slot)
            version = pointer.version if pointer else None
            read = _read_of(registry.card(slot, version), series) if version else None
            if version is None or read is None:
                continue
            events = registry.events(slot, version)
        except RegistryError as error:
            log.event("champion_unreadable", log.WARNING, slot=str(slot), why=str(error))
            continue
        known = _known(events)
        newer = [
            revision
            for revision in _inside(read, revisions)
            if known.isdisjoint((revision.key, f"{series.market} {revision.key}"))
        ]
        if newer and all(event["event"] != EVENT for event in events):
            yield slot, version, newer


def _mark(
    registry: Registry, slot: Slot, version: str, newer: list[Revision], now: pd.Timestamp
) -> Marked:
    times = [revision.time for revision in newer]
    facts = {"first": min(times).isoformat(), "last": max(times).isoformat()}
    marked = Marked(str(slot), version, len(set(times)))
    registry.note(slot, version, EVENT, now.isoformat(), candles=marked.candles, **facts)
    told = {"slot": marked.slot, "version": version, "candles": marked.candles, **facts}
    log.event(EVENT, log.WARNING, **told)
    return marked


def _read_of(card: dict[str, Any], series: Series) -> dict[str, Any] | None:
    """First and last candle of a series that a version learnt from; None where it did not."""
    if (card.get("feed"), card.get("timeframe")) != (series.feed, series.timeframe):
        return None
    data: dict[str, Any] = card["data"]
    members = card.get("quality", {}).get(MEMBERS, {card.get("market"): data})
    span: dict[str, Any] = members.get(series.market, {})
    return span if "first" in span else None


def _known(events: list[dict[str, Any]]) -> set[str]:
    notes = [event.get("note", {}) for event in events if event.get("event") == REGISTERED]
    known = [note.get(KNOWN) for note in notes if isinstance(note, dict)]
    return {key for keys in known if isinstance(keys, list) for key in keys}


def _inside(span: dict[str, Any], revisions: list[Revision]) -> list[Revision]:
    first, last = (moment(str(span[name])) for name in ("first", "last"))
    return [revision for revision in revisions if first <= revision.time <= last]
