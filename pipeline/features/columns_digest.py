"""The hash of a feature set, apart from what computes it."""

from __future__ import annotations

import hashlib
import json

from pipeline.config import Node


def columns_digest(columns: list[Node]) -> str:
    """Compute the sha256 of an ordered list of columns, each a mapping with a ``name``.

    Examples
    --------
    >>> columns_digest([{"name": "rsi", "indicator": "rsi", "window": 14}])[:12]
    'e2d19ad2b252'
    """
    ordered = json.dumps(columns, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(ordered.encode()).hexdigest()
