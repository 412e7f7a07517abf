"""Numbers and moments as text for people."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

MINUS = "\N{MINUS SIGN}"
GAP = "\N{NO-BREAK SPACE}"
NOTHING = "\N{EN DASH}"
NO_NUMBER = "not a number"
UNITS = ("B", "KiB", "MiB", "GiB")
STEP = 1024


def decimal(value: float | None, digits: int = 3, signed: bool = False) -> str:
    """A number with so many decimals.

    Examples
    --------
    >>> decimal(-0.0004, 3, signed=True)
    '0.000'
    >>> decimal(1.5, 1, signed=True)
    '+1.5'
    """
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return NO_NUMBER
    text = f"{abs(value):,.{digits}f}"
    if not any(character in "123456789" for character in text):
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def percent(share: float | None, digits: int = 1, signed: bool = False) -> str:
    """A share in percent.

    Examples
    --------
    >>> percent(0.3125).replace(GAP, " ")
    '31.2 %'
    """
    if share is None:
        return NOTHING
    text = decimal(100 * share, digits, signed)
    return text if text == NO_NUMBER else f"{text}{GAP}%"


def count(value: float | None) -> str:
    """A number of things.

    Examples
    --------
    >>> count(4402.0)
    '4,402'
    """
    return decimal(value, 0)


def things(value: float, one: str, many: str = "") -> str:
    """How many of a thing.

    Examples
    --------
    >>> things(1, "fold"), things(2, "fold")
    ('1 fold', '2 folds')
    """
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def size(octets: float) -> str:
    """Memory in the unit that reads best.

    Examples
    --------
    >>> size(1467216)
    '1.4 MiB'
    """
    power = min(int(math.log(max(octets, 1), STEP)), len(UNITS) - 1)
    return f"{octets / STEP**power:.{1 if power else 0}f} {UNITS[power]}"


def day(moment: str | pd.Timestamp | None) -> str:
    """A moment to the day.

    Examples
    --------
    >>> day("2025-07-07T20:00:00+00:00")
    '7 Jul 2025'
    """
    if moment is None:
        return NOTHING
    stamp = pd.Timestamp(moment)
    return f"{stamp.day} {stamp:%b %Y}"


def minute(moment: str | pd.Timestamp | None) -> str:
    """A moment to the minute, in UTC.

    Examples
    --------
    >>> minute("2025-07-07T20:00:00+00:00")
    '2025-07-07 20:00'
    """
    return NOTHING if moment is None else f"{pd.Timestamp(moment):%Y-%m-%d %H:%M}"


def words(key: str) -> str:
    """A key as words.

    Examples
    --------
    >>> words("longest_hole")
    'Longest hole'
    """
    text = key.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def plain(value: Any) -> str:
    """A value of JSON, whatever it is."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace("-", MINUS)
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", MINUS)
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
