"""Every configuration tried for a slot: the ledger that its best score is read against.

The best of many scores is high by luck alone. How many there were is known only when each was
written down before it was fitted, and none is ever taken back::

    upbit_hourly/KRW-SOL/trials.jsonl    one line for each configuration, append-only
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from registry.errors import RegistryError
from registry.files import Journal, append_whole_line, json_line, locked, make_folder, refused
from registry.slots import Slot

LEDGER = "trials.jsonl"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SOURCE = re.compile(r"[a-z][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration and who tried it first.

    Parameters
    ----------
    digest
        sha256 of all that a result follows from, except the moment, the data and the code.
    model
        The options of the models, for people.
    choices
        What was chosen, for people; JSON values only.
    source
        Who tried it: ``train``, ``retrain``, ``tune``.
    origin
        The other slot whose trials its settings were chosen among; empty where there is none.

    Raises
    ------
    RegistryError
        When the digest is no sha256, the source no plain word or the origin no slot.
    """

    digest: str
    model: str
    choices: Mapping[str, Any]
    source: str
    origin: str = ""

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.digest):
            expected = "64 hexadecimal digits"
            raise refused("is no digest of a trial", found=repr(self.digest), expected=expected)
        if not _SOURCE.fullmatch(self.source):
            expected = "a word such as train"
            raise refused("is no source of a trial", found=repr(self.source), expected=expected)
        if self.origin:
            Slot.parse(self.origin)


def record_trial(root: Path, slot: Slot, trial: Trial) -> bool:
    """Count a configuration; False when the ledger has it already, and from there.

    Raises
    ------
    RegistryError
        When the ledger cannot be written: what is not counted must not be tried.
    """
    if _knows(root, slot, trial):
        return False
    line, folder = json_line(asdict(trial)), slot.folder(root)
    try:
        make_folder(folder)
        with locked(folder):
            if _knows(root, slot, trial):
                return False
            append_whole_line(folder / LEDGER, line)
    except OSError as error:
        found, fix = str(error.strerror or error), "make room or give write access, and try again"
        raise refused("a trial cannot be counted", where=folder, found=found, fix=fix) from error
    return True


def trials(root: Path, slot: Slot) -> list[Trial]:
    """List what was tried, in the order it was first tried; damaged lines are left out."""
    known: dict[str, Trial] = {}
    for trial in _read(root, slot)[0]:
        known.setdefault(trial.digest, trial)
    return list(known.values())


def count_trials(root: Path, slot: Slot) -> int:
    """Number of configurations tried; a damaged line was one, too.

    Settings chosen among another slot's trials bring that slot's ledger with them.
    """
    digests: set[str] = set()
    damaged, seen, waiting = 0, set[Slot](), [slot]
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        read, broken = _read(root, each)
        digests |= {trial.digest for trial in read}
        damaged += len(broken)
        waiting += [Slot.parse(trial.origin) for trial in read if trial.origin]
    return len(digests) + damaged


def damaged_trials(root: Path, slot: Slot) -> tuple[int, ...]:
    """Numbers of complete lines that are no trials."""
    return _read(root, slot)[1]


def _knows(root: Path, slot: Slot, trial: Trial) -> bool:
    same = [known for known in _read(root, slot)[0] if known.digest == trial.digest]
    return any(trial.origin in ("", known.origin) for known in same)


def _read(root: Path, slot: Slot) -> tuple[list[Trial], tuple[int, ...]]:
    journal = Journal.read(slot.folder(root) / LEDGER)
    read = {number: _trial(record) for number, record in journal.records}
    damaged = {*journal.damaged, *(number for number, trial in read.items() if trial is None)}
    return [trial for trial in read.values() if trial], tuple(sorted(damaged))


def _trial(record: dict[str, Any]) -> Trial | None:
    try:
        trial = Trial(**record)
    except (TypeError, RegistryError):
        return None
    return trial if isinstance(trial.model, str) and isinstance(trial.choices, dict) else None
