"""The portions of its yearly error that a slot has drawn, and what they were spent on.

One line for each, and none is ever taken back::

    upbit_hourly/KRW-SOL/budget.jsonl    what was tested, at which level, whether it may trade
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from registry.files import Journal, append_record, locked, make_folder, refused
from registry.slots import Slot

BUDGET = "budget.jsonl"
YEAR = timedelta(days=365)
Kind = Literal["first", "refresh", "change"]


@dataclass(frozen=True, slots=True)
class Draw:
    """A portion that a version was tested with.

    `batch` counts the configurations that it was chosen among, `trials` the slot's ledger then;
    `admitted` says whether the version was let trade.
    """

    version: str
    as_of: str
    kind: Kind
    level: float
    batch: int
    trials: int
    admitted: bool
    at: str

    @property
    def moment(self) -> datetime:
        """As_of as a moment."""
        return datetime.fromisoformat(self.as_of)


def record_draw(root: Path, slot: Slot, draw: Draw) -> bool:
    """Spend a portion on a version; False where that version has spent one already.

    Raises
    ------
    RegistryError
        When the budget cannot be written: what is not counted must not be tested.
    """
    folder = slot.folder(root)
    try:
        make_folder(folder)
        with locked(folder):
            if any(made.version == draw.version for made in _read(folder)[0]):
                return False
            append_record(folder / BUDGET, asdict(draw))
    except OSError as error:
        found, fix = str(error.strerror or error), "make room or give write access, and try again"
        what = "a portion of the error budget cannot be drawn"
        raise refused(what, where=folder, found=found, fix=fix) from error
    return True


def read_draws(root: Path, slot: Slot) -> tuple[tuple[Draw, ...], tuple[int, ...]]:
    """Read what was drawn, oldest first, and the numbers of complete lines that are no draws."""
    return _read(slot.folder(root))


def damaged_draws(root: Path, slot: Slot) -> tuple[int, ...]:
    """Numbers of complete lines that are no draws."""
    return read_draws(root, slot)[1]


def admitted_within_a_year(made: Iterable[Draw], as_of: str) -> bool:
    """Whether a draw of the year before a moment let a version trade."""
    now = datetime.fromisoformat(as_of)
    return any(draw.admitted and draw.moment + YEAR > now for draw in made)


def _read(place: Path) -> tuple[tuple[Draw, ...], tuple[int, ...]]:
    journal = Journal.read(place / BUDGET)
    lines = {number: _draw(record) for number, record in journal.records}
    damaged = {*journal.damaged, *(number for number, made in lines.items() if made is None)}
    return tuple(made for made in lines.values() if made), tuple(sorted(damaged))


def _draw(record: dict[str, Any]) -> Draw | None:
    try:
        made = Draw(**record)
        dated = made.moment.tzinfo is not None
    except (TypeError, ValueError):
        return None
    counted = type(made.batch) is int and type(made.trials) is int and type(made.admitted) is bool
    return made if dated and counted and isinstance(made.level, int | float) else None
