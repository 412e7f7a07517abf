"""Where audits are kept, found again by what they were of, and what a gate makes of them.

An audit is of a recipe and a digest of all that its outcome follows from, so that a change of code
or configuration asks for another. It lies in ``reports/audits/<recipe>-<digest>.json``; one that
is shipped lies in ``docs/audits/<recipe>.json`` and counts while its digest is that of the code.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from pipeline.experiments.audit.run import Audit
from registry.conditions import Condition
from registry.evidence import Evidence
from registry.files import read_if_there, write_atomic
from registry.gate import Verdict
from registry.sentences import Outcome

FOLDER, SHIPPED = Path("reports/audits"), Path("docs/audits")
AUDITED = "audited"  # the condition and the event


def keep(audit: Audit, home: Path) -> Path:
    """Write an audit; a short one that passed does not replace a full one."""
    path = home / FOLDER / f"{audit.recipe}-{audit.digest}.json"
    before = _read(path)
    if before is None or audit.full or not audit.passed or not before.full:
        write_atomic(path, audit.model_dump_json(indent=1).encode() + b"\n")
    return path


def kept(home: Path, checkout: Path, recipe: str, digest: str) -> Audit | None:
    """The audit of a recipe and a digest; None where there is none, or it cannot be read."""
    own = _read(home / FOLDER / f"{recipe}-{digest}.json")
    shipped = _read(checkout / SHIPPED / f"{recipe}.json")
    found = own or shipped
    return found if found and found.digest == digest and found.recipe == recipe else None


def audited(audit: Audit | None, recipe: str) -> Condition:
    """Whether what a candidate was made by has passed its audit.

    Examples
    --------
    >>> audited(None, "demo").reason
    'this recipe and code were not audited: vintage audit recipe=demo'
    """
    if audit is None:
        passed, told = (
            False,
            f"this recipe and code were not audited: vintage audit recipe={recipe}",
        )
    else:
        failed = [f"{each.check} ({each.number})" for each in audit.results if each.passed is False]
        passed = not failed
        told = f"its recipe and code failed their audit: {', '.join(failed)}"
        if passed:
            told = f"its recipe and code passed their audit, {audit.digest}"
    return Condition(name=AUDITED, passed=passed, value=passed, limit=True, reason=told)


def with_audit(verdict: Verdict, evidence: Evidence, audit: Audit | None, recipe: str) -> Verdict:
    """Lay the audit over the gate's verdict.

    A failed audit refuses. A missing one lets nothing trade that would: it is observed, or refused
    where it would replace a champion that trades.
    """
    condition = audited(audit, recipe)
    conditions = (*verdict.conditions, condition)
    if condition.passed or verdict.outcome == "refuse":
        return verdict.model_copy(update={"conditions": conditions})
    trading = evidence.champion is not None and evidence.champion.mode == "trade"
    if audit is not None or (trading and verdict.outcome == "promote"):
        refused = f"Refuse: {condition.reason}."
        return _turned(verdict, "refuse", refused, conditions)
    sentence = verdict.sentence
    if verdict.outcome == "promote":
        sentence = f"Observe, signals but no decisions: {condition.reason}."
    return _turned(verdict, "observe", sentence, conditions)


def _turned(
    verdict: Verdict, outcome: Outcome, sentence: str, conditions: tuple[Condition, ...]
) -> Verdict:
    told = {"outcome": outcome, "sentence": sentence, "conditions": conditions}
    return verdict.model_copy(update=told)


def _read(path: Path) -> Audit | None:
    content = read_if_there(path)
    try:
        return None if content is None else Audit.model_validate_json(content)
    except ValidationError:
        return None
