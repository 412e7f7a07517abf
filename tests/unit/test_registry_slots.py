"""Names of slots."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import RegistryError
from registry.slots import Slot


@pytest.mark.parametrize("text", ["upbit_hourly/KRW-SOL", "upbit_hourly@replay/KRW-SOL"])
def test_a_slot_reads_back(text: str) -> None:
    slot = Slot.parse(text)
    assert str(slot) == text
    assert slot.folder(Path("/r")) == Path("/r") / text
    assert (slot.recipe, slot.market) == ("upbit_hourly", "KRW-SOL")
    assert slot.exchange == ("replay" if "@" in text else None)


@pytest.mark.parametrize(
    "text",
    ["", "/", "upbit_hourly", "upbit_hourly/", "/KRW-SOL", "../KRW-SOL", "a/../KRW-SOL",
     "a//KRW-SOL", ".a/KRW-SOL", "a/.KRW-SOL", "a/krw-sol", "a/KRW-SOL/v0001", "a/KRW-SOL\n",
     "a@/KRW-SOL", "@b/KRW-SOL", "a@b@c/KRW-SOL", "a b/KRW-SOL", "a\x00/KRW-SOL", "ä/KRW-SOL",
     "a/KRW\u2011SOL", "-a/KRW-SOL", "a" * 65 + "/KRW-SOL"],
)  # fmt: skip
def test_a_hostile_slot_is_refused(text: str) -> None:
    with pytest.raises(RegistryError, match="is not a slot"):
        Slot.parse(text)


@pytest.mark.parametrize(
    ("recipe", "market", "exchange"),
    [
        ("a@b", "KRW-SOL", None),
        ("a/KRW-SOL", "", None),
        ("..", "KRW-SOL", None),
        ("a", "KRW-SOL", ""),
    ],
)
def test_a_slot_cannot_be_put_together_from_parts_that_mean_another(
    recipe: str, market: str, exchange: str | None
) -> None:
    with pytest.raises(RegistryError, match="is not a slot"):
        Slot(recipe, market, exchange)
