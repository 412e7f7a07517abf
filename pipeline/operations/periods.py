"""Lengths of time as people write them: 90s, 30m, 2h, 7d."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
FORM = r"^[1-9][0-9]{0,6}[smhd]$"
Period = Annotated[str, Field(pattern=FORM, description="90s, 30m, 2h or 7d")]


def is_period(text: str) -> bool:
    """Whether a text is a length of time.

    Examples
    --------
    >>> is_period("2h"), is_period("2"), is_period("0h")
    (True, False, False)
    """
    return re.match(FORM, text) is not None


def seconds_of(period: str) -> float:
    """Seconds of a length of time that is known to be one.

    Examples
    --------
    >>> seconds_of("90m")
    5400.0
    """
    return float(int(period[:-1]) * SECONDS[period[-1]])
