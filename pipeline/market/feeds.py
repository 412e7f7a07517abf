"""Where a feed of another base URL is served: ``feed.json`` beside the series of that feed."""

from __future__ import annotations

import json

from pipeline.market.exchanges.base import Exchange
from pipeline.market.store import CandleStore
from registry.files import write_atomic

FILE = "feed.json"


def remember(store: CandleStore, exchange: Exchange) -> None:
    """Keep the base URL that the feed's digest stands for; nothing for a venue's own."""
    address = getattr(exchange, "address", None)
    if address is None or address_of(store, exchange.feed) == address:
        return
    path = store.root / exchange.feed / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps({"base_url": address}).encode() + b"\n")


def address_of(store: CandleStore, feed: str) -> str | None:
    """Base URL of a feed, or None where none is known; the file only tells, so a torn one is none.

    Examples
    --------
    >>> from pathlib import Path
    >>> address_of(CandleStore(Path("nowhere")), "upbit") is None
    True
    """
    try:
        kept = json.loads((store.root / feed / FILE).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    address = kept.get("base_url") if isinstance(kept, dict) else None
    return address if isinstance(address, str) else None
