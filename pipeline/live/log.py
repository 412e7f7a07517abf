"""The signal log: what every version said of every candle, append-only, one line each.

One file for each slot and month of candles, below ``logs/signals`` of the home folder::

    logs/signals/upbit_hourly/KRW-SOL/2025-12.jsonl
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import pandas as pd

from pipeline.live.answers import Answer
from registry.files import (
    Journal,
    append_record,
    json_line,
    locked,
    make_folder,
    read_if_there,
)
from registry.slots import Slot

FOLDER = Path("logs/signals")
MONTH = 7  # characters of a moment that name its month
Role = Literal["champion", "stand_in", "challenger", "shadow"]
KEY = ("slot", "market", "candle", "version", "role")


@dataclass(frozen=True, slots=True)
class Logged:
    """What a version said of one candle, and as what: see `pipeline.live.said.Said`.

    `role` is ``champion``, ``stand_in`` or ``challenger`` where this was the answer, ``shadow``
    where another version answered; `share` is that of candles which the challenger answers,
    `heads` has each head's probabilities by class, `at` is when it was said.
    """

    slot: str
    market: str
    candle: str
    version: str
    role: Role
    known_at: str
    mode: str
    in_sample: bool
    heads: Mapping[str, Mapping[str, float]]
    action: str | None
    share: float
    at: str

    @classmethod
    def of(cls, answer: Answer, role: Role, share: float, at: str) -> Self:
        """What is logged of an answer; heads that say nothing are left out."""
        told = answer.at
        return cls(
            slot=told.slot,
            market=told.market,
            candle=told.candle,
            version=told.version,
            role=role,
            known_at=told.known_at,
            mode=told.mode,
            in_sample=told.in_sample,
            heads={
                name: dict(head.probability)
                for name, head in answer.heads.items()
                if head.probability
            },
            action=answer.action,
            share=share,
            at=at,
        )


@dataclass(frozen=True, slots=True)
class SignalLog:
    """The signal log below one folder."""

    root: Path

    @classmethod
    def below(cls, home: Path) -> Self:
        """That of a home folder."""
        return cls(home / FOLDER)

    def keep(self, lines: Sequence[Logged]) -> int:
        """Append what is not there yet and tell how many lines that were; they share a slot.

        A version's answer to a candle is kept once in each role, whoever asks again and from
        whichever process. A last line that was cut off is written over.

        Raises
        ------
        RegistryError
            When another process keeps the lock, or a file cannot be read.
        OSError
            When the disk does not take a line.
        """
        kept = 0
        for line in lines:
            place = Slot.parse(line.slot).folder(self.root)
            path = place / f"{line.candle[:MONTH]}.jsonl"
            make_folder(place)
            with locked(place):
                if not _is_there(path, line):
                    append_record(path, asdict(line))
                    kept += 1
        return kept

    def read(
        self, slot: Slot, since: pd.Timestamp | None = None
    ) -> tuple[list[Logged], tuple[str, ...]]:
        """Lines on candles that opened at `since` or later, as written, and what is damaged.

        Raises
        ------
        RegistryError
            When a file cannot be read.
        """
        first = "" if since is None else since.isoformat()[:MONTH]
        found: list[Logged] = []
        damaged: list[str] = []
        for path in sorted(slot.folder(self.root).glob("*.jsonl")):
            if path.stem >= first:
                journal = Journal.read(path)
                damaged += [f"{path.name}: line {number}" for number in journal.damaged]
                lines = dict(_lines(journal.records))
                damaged += [f"{path.name}: line {each}" for each in lines if not lines[each]]
                found += [line for line in lines.values() if line]
        return [line for line in found if _is_since(line, since)], tuple(damaged)


def _is_there(path: Path, line: Logged) -> bool:
    """By the first keys of each line, without parsing a month of them."""
    content = read_if_there(path) or b""
    whole = content[: content.rfind(b"\n") + 1]
    own = asdict(line)
    start = json_line({name: own[name] for name in KEY})[:-1].encode() + b","
    return whole.startswith(start) or b"\n" + start in whole


def _lines(
    records: Iterable[tuple[int, dict[str, Any]]],
) -> Iterator[tuple[int, Logged | None]]:
    for number, record in records:
        try:
            yield number, Logged(**record)
        except TypeError:
            yield number, None


def _is_since(line: Logged, since: pd.Timestamp | None) -> bool:
    return since is None or pd.Timestamp(line.candle) >= since
