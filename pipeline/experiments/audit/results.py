"""Where audits are kept, found again by what they were of, and what a gate makes of them.

An audit is of a recipe and a digest of all that its outcome follows from, so that a change of code
or configuration asks for another. It lies in ``reports/audits/<recipe>-<digest>.json``; one that
is shipped lies in ``docs/audits/<recipe>.json`` and counts while its digest is that of the code.
"""

from __future__ import annotations

import glob
from pathlib import Path

from pydantic import ValidationError

from pipeline.experiments.audit.run import Audit
from registry.conditions import Condition
from registry.evidence import Evidence
from registry.files import read_if_there, write_atomic
from registry.gate import Verdict
from registry.sentences import Outcome, trades

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


def files_of(recipe: str, home: Path, checkout: Path) -> list[Path]:
    """Every audit that there is of a recipe, of whatever digest."""
    shipped = checkout / SHIPPED / f"{recipe}.json"
    own = sorted((home / FOLDER).glob(f"{glob.escape(recipe)}-*.json"))
    return [*own, *([shipped] if shipped.is_file() else [])]


def audited(audit: Audit | None, words: str) -> Condition:
    """Whether what a candidate was made by has passed its audit; without one there is no value.

    Parameters
    ----------
    words
        What was chosen, as it is typed.

    Examples
    --------
    >>> audited(None, "recipe=demo").reason.partition(",")[0]
    'its recipe and code were not audited (vintage audit recipe=demo)'
    """
    if audit is None:
        passed, told = None, f"were not audited ({command(words)})"
    elif failed := [each for each in audit.results if each.passed is False]:
        names = ", ".join(f"{each.check}: {each.number}" for each in failed)
        passed, told = False, f"failed their audit {audit.digest} ({names})"
    else:
        passed, told = True, f"passed their audit {audit.digest}"
    unspent = "" if passed else ", so no portion of the slot's yearly error is spent on it"
    reason = f"its recipe and code {told}{unspent}"
    return Condition(name=AUDITED, passed=bool(passed), value=passed, limit=True, reason=reason)


def command(words: str) -> str:
    """What to type to audit what these words choose."""
    return f"vintage audit {words}"


def misses_audit(verdict: Verdict) -> bool:
    """Whether there was no audit, and nothing but an audit is missing."""
    failed = [each for each in verdict.conditions if not each.passed]
    return len(failed) == 1 and failed[0].name == AUDITED and failed[0].value is None


def with_audit(verdict: Verdict, evidence: Evidence, condition: Condition) -> Verdict:
    """Lay what `audited` told over the gate's verdict.

    A failed audit refuses. A missing one lets nothing trade that would: it is observed, or refused
    where it would replace a champion that trades. Neither draws a portion of the yearly error.
    """
    laid = verdict.model_copy(update={"conditions": (*verdict.conditions, condition)})
    if condition.passed:
        return laid
    unspent: dict[str, int] = {"drawn": False}
    if verdict.drawn and verdict.portions_left is not None:
        unspent["portions_left"] = verdict.portions_left + 1
    outcome, sentence = _turned(verdict, evidence, condition)
    return laid.model_copy(update={**unspent, "outcome": outcome, "sentence": sentence})


def _turned(verdict: Verdict, evidence: Evidence, condition: Condition) -> tuple[Outcome, str]:
    champion, beside = evidence.champion, f"{verdict.sentence.rstrip('.')}; and {condition.reason}."
    if verdict.outcome == "refuse":
        return "refuse", beside
    if condition.value is not None:
        lost = verdict.sentence.partition(": ")[2] if verdict.demotes else ""
        return "refuse", f"Refuse: {condition.reason}{f'; and {lost}' if lost else '.'}"
    if verdict.outcome == "observe":
        return "observe", beside
    if trades(champion) and champion is not None:
        return "refuse", f"Refuse: {champion.version} trades and stays: {condition.reason}."
    return "observe", f"Observe, signals but no decisions: {condition.reason}."


def _read(path: Path) -> Audit | None:
    content = read_if_there(path)
    try:
        return None if content is None else Audit.model_validate_json(content)
    except ValidationError:
        return None
