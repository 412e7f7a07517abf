"""What a slot and a version are called, and where they live."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from registry.errors import RegistryError
from registry.files import refused

CHAMPION = "champion"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_MARKET = r"[A-Z0-9]{1,32}-[A-Z0-9]{1,32}"
_SLOT = re.compile(rf"(?P<recipe>{_NAME})(@(?P<exchange>{_NAME}))?/(?P<market>{_MARKET})")
_VERSION = re.compile(r"v(?!0000)([0-9]{4}|[1-9][0-9]{4,8})")


@dataclass(frozen=True, slots=True)
class Slot:
    """A recipe on a market, with the exchange where it is not the market's own.

    Raises
    ------
    RegistryError
        When a name could mean another place on disk or is not a plain word.

    Examples
    --------
    >>> Slot.parse("upbit_hourly@replay/KRW-SOL")
    Slot(recipe='upbit_hourly', market='KRW-SOL', exchange='replay')
    >>> str(Slot("risk_daily", "KRW-BTC"))
    'risk_daily/KRW-BTC'
    """

    recipe: str
    market: str
    exchange: str | None = None

    def __post_init__(self) -> None:
        told = {"recipe": self.recipe, "exchange": self.exchange, "market": self.market}
        if _match(str(self)).groupdict() != told:
            raise _no_slot(str(self))

    @classmethod
    def parse(cls, text: str) -> Slot:
        """Read ``recipe/MARKET`` or ``recipe@exchange/MARKET``."""
        return cls(**_match(text).groupdict())

    def __str__(self) -> str:
        at = "" if self.exchange is None else f"@{self.exchange}"
        return f"{self.recipe}{at}/{self.market}"

    def folder(self, root: Path) -> Path:
        """Folder of this slot under the registry's root."""
        return root / str(self)


def version_name(number: int) -> str:
    """Name of the version with this number, from 1.

    Examples
    --------
    >>> version_name(7)
    'v0007'
    """
    return f"v{number:04d}"


def version_number(version: str) -> int | None:
    """Inverse of `version_name`; None for any other text.

    Examples
    --------
    >>> version_number("v0007"), version_number("v7"), version_number("v0000")
    (7, None, None)
    """
    found = _VERSION.fullmatch(version)
    return int(found[1]) if found else None


def check_version(version: str, where: object) -> None:
    """Refuse what is not the name of a version.

    Raises
    ------
    RegistryError
        Naming what was found.
    """
    if version_number(version) is None:
        expected = "a name such as v0007"
        raise refused("is not a version", where=where, found=repr(version), expected=expected)


def _match(text: str) -> re.Match[str]:
    found = _SLOT.fullmatch(text)
    if found is None:
        raise _no_slot(text)
    return found


def _no_slot(text: str) -> RegistryError:
    return refused(
        "is not a slot",
        found=repr(text)[:200],
        expected="recipe/MARKET or recipe@exchange/MARKET, such as upbit_hourly/KRW-SOL",
    )
