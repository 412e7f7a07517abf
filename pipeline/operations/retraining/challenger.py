"""The challenger of a slot: asked beside the champion, and named when the gate refused it.

Nothing here disturbs whoever is served: a challenger that fails is told in the log of events.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline import log
from pipeline.errors import VintageError
from pipeline.live.answers import Answer
from pipeline.live.first_load import require_loadable
from pipeline.live.served import Served
from pipeline.live.task import task_changes
from pipeline.operations.target import Target
from pipeline.operations.versions.answering import answer_of
from registry.errors import RegistryError
from registry.events import promoted_by_gate
from registry.evidence import Evidence
from registry.history import Mode, Pointer
from registry.manifest import VerifiedBundle
from registry.marks import Role, mark, marked
from registry.slots import Slot
from registry.versions import Registry

CHALLENGER: Role = "challenger"
RETRAIN = "retrain"
FAILURES = (  # of reading, loading and asking a version: its own, and those of model libraries
    VintageError,
    RegistryError,
    OSError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the challenger said, or why it did not; nothing of a slot without one.

    `may_answer`: it was asked the same question as the champion, so it may answer in its place.
    """

    answer: Answer | None = None
    may_answer: bool = False
    why_not: str = ""


def ask_challenger(target: Target, registry: Registry, slot: Slot, found: Served) -> Asked:
    """Ask the slot's challenger what the version that is served is asked.

    It answers in the mode of the gate's last word on it, never in a wider one than `found`.
    """
    version = None
    try:
        made = marked(registry.root, slot, CHALLENGER)
        version = made.version if made else None
        if version is None or version in (found.verified.version, found.stands_in_for):
            return Asked()
        verified = registry.open(slot, version)
        require_loadable(registry, slot, verified, lambda: target.plan.plugins)
        pointer = Pointer(version, found.pointer.generation, _mode(registry, slot, version, found))
        answer = answer_of(target, slot, Served(pointer, verified))
        return Asked(answer, _same_task(verified, found.verified))
    except FAILURES as error:
        why_not = str(error) or type(error).__name__
        log.event("challenger_silent", slot=str(slot), version=version, why=why_not)
        return Asked(why_not=why_not)


def challenge(
    target: Target, registry: Registry, version: str, evidence: Evidence, at: str
) -> None:
    """Make a refused candidate the challenger of a champion that trades, if it is sound.

    Not one whose figures are broken, that knows less of the past than the champion or cannot be
    loaded; and none while a person has another challenger marked.
    """
    champion, slot = evidence.champion, target.slot
    if champion is None or champion.mode != "trade" or champion.is_newer or not evidence.finite:
        return
    try:
        standing = marked(registry.root, slot, CHALLENGER)
        if standing is not None and standing.who != RETRAIN:
            return
        verified = registry.open(slot, version)
        require_loadable(registry, slot, verified, lambda: target.plan.plugins)
        reason = f"refused against {champion.version}; watched beside it"
        mark(registry.root, slot, CHALLENGER, version, reason=reason, who=RETRAIN, at=at)
    except RegistryError as error:
        log.event("challenger_not_marked", slot=str(slot), version=version, why=str(error))
    else:
        log.event("challenger_marked", slot=str(slot), version=version, beside=champion.version)


def _mode(registry: Registry, slot: Slot, version: str, found: Served) -> Mode:
    trusted = promoted_by_gate(registry.events(slot, version))
    return "trade" if trusted and found.pointer.mode == "trade" else "observe"


def _same_task(ours: VerifiedBundle, theirs: VerifiedBundle) -> bool:
    told = [each.card().get("config", {}).get("labels") for each in (theirs, ours)]
    return None not in told and not any(task_changes(*told))
