"""What is known of an audit: by the plan that it is of, and among the events of versions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.configuration.plan import Plan
from pipeline.experiments.audit.plans import digest_of, digest_of_card
from pipeline.experiments.audit.results import AUDITED, kept
from pipeline.experiments.audit.run import Audit
from registry.errors import RegistryError
from registry.slots import Slot
from registry.versions import Registry


def audit_of(plan: Plan, home: Path, checkout: Path) -> Audit | None:
    """The kept audit of what a plan makes, or the shipped one; None where there is neither."""
    return kept(home, checkout, plan.run.recipe, digest_of(plan))


def note_versions(registry: Registry, made: Audit, at: str) -> Iterator[str]:
    """Note an audit on every version of its recipe that was made by the same digest."""
    for slot in registry.slots():
        if slot.recipe != made.recipe:
            continue
        for known in registry.versions(slot):
            version = known.version
            same = _made_by(registry, slot, version, made.digest)
            if same and note_audit(registry, slot, version, made, at):
                yield f"{slot} {version}"


def note_audit(registry: Registry, slot: Slot, version: str, made: Audit, at: str) -> bool:
    """Note an audit among a version's events; False where it is known already."""
    facts = {
        "outcome": "passed" if made.passed else "failed",
        "audit": made.digest,
        "volume": "full" if made.full else "short",
    }
    for event in registry.events(slot, version):
        if event.get("event") == AUDITED and facts.items() <= event.items():
            return False
    registry.note(slot, version, AUDITED, at, **facts)
    return True


def _made_by(registry: Registry, slot: Slot, version: str, digest: str) -> bool:
    try:
        return digest_of_card(registry.card(slot, version)) == digest
    except RegistryError:
        return False  # a damaged version tells nothing of itself
