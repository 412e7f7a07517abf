"""Verbs that only read: list, show, history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from registry import pointers
from registry.errors import RegistryError
from registry.events import condition_rows, event_line, last_word, tags
from registry.history import Pointer
from registry.manifest import CARD
from registry.marks import ROLES, marked, marks
from registry.pending import pending
from registry.slots import CHAMPION, Slot
from registry.tables import (
    card_facts,
    cell,
    head_rows,
    majority_balanced_accuracy,
    metric_rows,
    pairs,
    score_rows,
    table,
)
from registry.trials import count_trials
from registry.verbs.telling import Told, print_json, tell
from registry.versions import Registry

Found = TypeVar("Found")


def list_(registry: Registry, told: Told) -> int:
    """Slots, their champions and how they scored."""
    rows = [_slot_row(registry, slot, told.at) for slot in registry.slots()]
    if told.json:
        return print_json(rows)
    if not rows:
        print(f"No slots yet under {registry.root}.")
        return 0
    hidden = {"problem"} if any(row["pending"] for row in rows) else {"problem", "pending"}
    shown = [{name: row[name] for name in row if name not in hidden} for row in rows]
    print(f"{table(shown)}\n\nmajority: the balanced accuracy of always naming one class.")
    for row in rows:
        if row["problem"]:
            print(f"\n{row['slot']}: {cell(row['problem'])}")
    return 0


def _slot_row(registry: Registry, slot: Slot, at: str) -> dict[str, Any]:
    pointer, card, problem = None, {}, None
    try:
        pointer = pointers.champion(registry.root, slot)
        card = registry.card(slot, pointer.version) if pointer else {}
    except RegistryError as error:
        problem = str(error)
    return {
        "slot": str(slot),
        "champion": pointer.version if pointer else None,
        "mode": pointer.mode if pointer else None,
        "pending": _waiting(registry, slot, pointer, at),
        "as_of": card.get("as_of"),
        "versions": len(registry.versions(slot)),
        "trials": count_trials(registry.root, slot),
        "balanced_accuracy": card.get("metrics", {}).get("balanced_accuracy"),
        "majority": majority_balanced_accuracy(card),
        "problem": problem,
    }


def _waiting(registry: Registry, slot: Slot, pointer: Pointer | None, at: str) -> str | None:
    """Version that would become champion at the next flat moment."""
    waits = _unless_damaged(lambda _, named: pending(registry, named), registry, slot)
    return waits.version if waits and not waits.outdated(pointer, at) else None


def show_(registry: Registry, told: Told) -> int:
    """One version: card, files, events."""
    bundle = registry.open(told.slot, told.version or _default_version(registry, told.slot))
    card = bundle.card() if CARD in bundle.names else {}
    events = registry.events(told.slot, bundle.version)
    files = [{"file": name, "bytes": len(bundle.read(name))} for name in bundle.names]
    facts: dict[str, Any] = {
        "slot": str(told.slot),
        "trials": count_trials(registry.root, told.slot),
        "version": bundle.version,
        "digest": bundle.digest,
        "points_here": _pointing(registry, told.slot, bundle.version),
        "tags": list(tags(events)),
        "reproduce": _reproduce(events),
    }
    if told.json:
        return print_json({**facts, "card": card, "files": files, "events": events})
    spoken = {name: _spoken(told) for name, told in facts.items() if told}
    print(pairs({**spoken, "trials": facts["trials"], **card_facts(card)}))
    if verdict := last_word(events):
        print(f"\nthe gate's last word\n{verdict}")
    for title, rows in (("heads", head_rows(card)), ("metrics", metric_rows(card))):
        print(f"\n{title}\n{table(rows)}" if rows else f"\nThe card tells no {title}.")
    if rows := score_rows(card):
        print(f"\nscores, with 90 % intervals and what each baseline scores\n{table(rows)}")
    if conditions := condition_rows(events):
        print(f"\nthe gate's conditions\n{table(conditions)}")
    print(f"\nfiles\n{table(files)}\n\nevents", *map(event_line, events), sep="\n")
    return 0


def _spoken(fact: Any) -> Any:
    return ", ".join(fact) if isinstance(fact, list) else fact


def _reproduce(events: Sequence[Mapping[str, Any]]) -> str | None:
    words = events[0].get("note", {}).get("words") if events else None
    return f"vintage retrain {words}" if words else None


def _pointing(registry: Registry, slot: Slot, version: str) -> list[str]:
    pointer = _unless_damaged(pointers.champion, registry, slot)
    found = [f"champion ({pointer.mode})"] if pointer and pointer.version == version else []
    roles = {role: _unless_damaged(partial(marked, role=role), registry, slot) for role in ROLES}
    return found + [role for role, made in roles.items() if made and made.version == version]


def _unless_damaged(
    read: Callable[[Path, Slot], Found | None], registry: Registry, slot: Slot
) -> Found | None:
    try:
        return read(registry.root, slot)
    except RegistryError:
        return None


def _default_version(registry: Registry, slot: Slot) -> str:
    if pointers.champion(registry.root, slot):
        return CHAMPION
    versions = registry.versions(slot)
    return versions[-1].version if versions else CHAMPION


def history_(registry: Registry, told: Told) -> int:
    """Every move of the champion pointer, or of a role beside it."""
    if told.role != CHAMPION:
        return _marks(registry, told)
    columns = ("generation", "action", "from", "to", "mode", "at", "who", "why", "done")
    moves = [
        {**made.to_record(), "done": made.done}
        for made in pointers.history(registry.root, told.slot)
    ]
    rows = [{name: made[name] for name in columns} for made in moves]
    if told.json:
        return print_json(rows)
    print(table(rows) if rows else f"The champion of {told.slot} was never moved.")
    return 0


def _marks(registry: Registry, told: Told) -> int:
    moves = [made for made in marks(registry.root, told.slot) if made.role == told.role]
    rows = [
        {"generation": made.generation, "from": made.origin, "to": made.version}
        | {"at": made.at, "who": made.who, "why": made.why}
        for made in moves
    ]
    none = f"The {told.role} of {told.slot} was never moved."
    return tell(told, rows, table(rows) if rows else none)
