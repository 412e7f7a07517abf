"""What the gate says of a registered candidate, its audit laid over, and what that costs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pipeline.experiments.audit.plans import digest_of_card
from pipeline.experiments.audit.results import AUDITED, audited, kept, with_audit
from pipeline.experiments.audit.run import Audit
from pipeline.operations.places import Places
from pipeline.operations.retraining.candidate import CARD, Candidate
from pipeline.operations.retraining.challenger import RETRAIN
from pipeline.operations.retraining.evidence import evidence_on
from pipeline.operations.target import Target
from pipeline.operations.versions.audit_notes import note_audit
from registry.budget import Asked
from registry.conditions import Condition
from registry.events import JUDGED
from registry.evidence import Evidence, keep_evidence, kept_evidence
from registry.gate import Standing, Verdict, judge
from registry.history import Pointer
from registry.pending import pending
from registry.pointers import history
from registry.slots import Slot
from registry.standing import spend, standing
from registry.trials import count_trials
from registry.versions import Registry


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and what it rests on.

    `counts` where it is to be followed: not for a version that was in service before, unless it is
    observed for want of its audit, which came, and is judged `anew`.
    """

    version: str
    evidence: Evidence
    stood: Standing
    verdict: Verdict
    audit: Audit | None
    counts: bool
    anew: bool


def judgement(
    built: Candidate, target: Target, places: Places, version: str, before: Pointer | None
) -> Judgement:
    """Judge a registered candidate by the gate and by the audit of what it was made by."""
    registry, gate = places.registry, target.plan.run.gate
    digest = digest_of_card(json.loads(built.files[CARD]))
    audit = kept(places.home, places.checkout, target.slot.recipe, digest)
    condition = audited(audit, target.chosen)
    first = None
    if audit and before and before.version == version and before.mode == "observe":
        first = _let_in_without(registry, target, version, condition)
    evidence, asked = first or evidence_on(built, registry, target, before)
    stood = standing(registry, target.slot, asked._replace(version=version), gate)
    verdict = with_audit(judge(evidence, gate, stood), evidence, condition)
    counts = first is not None or not _moves(registry, target.slot, version)
    if condition.value is False and before and before.version == version and before.mode == "trade":
        told = f"{verdict.sentence} It is the champion, and is let observe from now on."
        verdict, counts = verdict.model_copy(update={"demotes": True, "sentence": told}), True
    return Judgement(version, evidence, stood, verdict, audit, counts, first is not None)


def write_down(made: Judgement, target: Target, registry: Registry, at: str) -> None:
    """Keep what a version was judged by, spend what that cost, and note both.

    Raises
    ------
    RegistryError
        When it cannot be written: the verdict must not be followed then.
    """
    slot = target.slot
    keep_evidence(registry.root, slot, made.version, made.evidence)
    if made.audit is not None:
        note_audit(registry, slot, made.version, made.audit, at)
    judged: dict[str, Any] = made.verdict.model_dump(mode="json", exclude_defaults=True)
    judged["trials"] = count_trials(registry.root, slot)
    spend(registry, slot, made.stood, made.verdict, at)
    registry.note(slot, made.version, JUDGED, at, **judged)


def _moves(registry: Registry, slot: Slot, version: str) -> list[tuple[str, str]]:
    """Who made a version champion, and how; a rollback from it is not undone by a rerun."""
    made = history(registry.root, slot)
    return [(each.who, each.mode) for each in made if each.done and each.to == version]


def _let_in_without(
    registry: Registry, target: Target, version: str, now: Condition
) -> tuple[Evidence, Asked] | None:
    """What a version was first judged by, where its audit was missing then and is known now.

    None for one that traded, or that a person moved. A verdict that says promote while the version
    is observed was not followed to its end.
    """
    slot = target.slot
    evidence = kept_evidence(registry.root, slot, version)
    judged = [each for each in registry.events(slot, version) if each.get("event") == JUDGED]
    moved = {*_moves(registry, slot, version)}
    waits = pending(registry, slot)
    if waits and waits.version == version:
        return None
    if evidence is None or not judged or moved != {(RETRAIN, "observe")}:
        return None
    last = judged[-1]
    told = [each for each in last.get("conditions", []) if each["name"] == AUDITED]
    if not told or (told[0]["reason"] == now.reason and last["outcome"] != "promote"):
        return None
    against = evidence.champion.version if evidence.champion else ""
    differs = last.get("differs") or ""
    return evidence, Asked(version, last["kind"], target.plan.run.as_of, against, differs)
