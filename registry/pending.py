"""A version that waits to be champion until its market is flat: the role ``pending``.

What it may become is an event of the version, written before the role points to it, so that a crash
in between leaves an event that nobody looks at. The newest event of the version counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from registry.files import refused
from registry.history import MODES, Mode, Pointer
from registry.marks import Role, mark, marked
from registry.slots import Slot
from registry.versions import Registry

PENDING: Role = "pending"
TERMS = ("mode", "reason", "generation", "until")


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits: a version, the mode that it is to be served in, and why.

    `generation` is that of the champion it was judged against, 0 where there was none; after
    `until`, a moment with its zone, it is no longer fresh.
    """

    version: str
    mode: Mode
    reason: str
    generation: int
    until: str

    def outdated(self, pointer: Pointer | None, at: str) -> str:
        """Why it may not be promoted any more; empty where it may.

        Examples
        --------
        >>> waits = Pending("v0007", "trade", "Promote: …", 3, "2025-12-21T00:00+00:00")
        >>> waits.outdated(Pointer("v0006", 3, "trade"), "2025-12-20T00:00+00:00")
        ''
        >>> waits.outdated(Pointer("v0008", 4, "trade"), "2025-12-20T00:00+00:00")
        'the champion moved to v0008 since it was judged'
        """
        if (pointer.generation if pointer else 0) != self.generation:
            now = f"to {pointer.version}" if pointer else "away"
            return f"the champion moved {now} since it was judged"
        if datetime.fromisoformat(at) > datetime.fromisoformat(self.until):
            return f"it was fresh until {self.until[:16].replace('T', ' ')}"
        return ""


def pending(registry: Registry, slot: Slot) -> Pending | None:
    """Read which version of a slot waits; None where none does.

    Raises
    ------
    RegistryError
        When it is not known which one does, or what it may become.
    """
    made = marked(registry.root, slot, PENDING)
    if made is None or made.version is None:
        return None
    events = registry.events(slot, made.version)
    terms = [event for event in events if event.get("event") == PENDING]
    if found := _read(made.version, terms[-1] if terms else {}):
        return found
    raise refused(
        "what the pending version may become is not known",
        where=f"{slot} {made.version}",
        fix=f"vintage registry pin {slot} none --as {PENDING}, then promote a version",
    )


def leave_pending(registry: Registry, slot: Slot, waits: Pending, who: str, at: str) -> None:
    """Let a version wait; one that waited before gives way to it.

    Raises
    ------
    RegistryError
        When the version does not verify, or nothing can be written.
    """
    terms = {name: value for name, value in asdict(waits).items() if name != "version"}
    registry.note(slot, waits.version, PENDING, at, **terms)
    mark(registry.root, slot, PENDING, waits.version, reason=waits.reason, who=who, at=at)


def withdraw(registry: Registry, slot: Slot, reason: str, who: str, at: str) -> None:
    """Let no version wait."""
    mark(registry.root, slot, PENDING, None, reason=reason, who=who, at=at)


def _read(version: str, told: Mapping[str, Any]) -> Pending | None:
    try:
        found = Pending(version, **{name: told[name] for name in TERMS})
        sound = found.mode in MODES and type(found.generation) is int
        return found if sound and datetime.fromisoformat(found.until).tzinfo else None
    except (KeyError, TypeError, ValueError):
        return None
