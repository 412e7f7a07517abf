"""How much a battery does: a twentieth by default, all of it with VINTAGE_FULL."""

from __future__ import annotations

import os

FULL = 20


def volume(examples: int) -> int:
    """Examples to try now, given those of a quick run."""
    return examples * FULL if os.environ.get("VINTAGE_FULL") else examples
