"""Scores become evidence for the gate: the only place that says which figure it looks at."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pipeline.evaluation.metrics import Scores
from registry.conditions import FEW, PORTION, GateConfig
from registry.evidence import Certification, ChampionEvidence, Evidence
from registry.gate import Verdict, judge

UNDECIDABLE = "undecidable"
MOVED = "direction_effective_rows"
_CERTIFIED = {name for name, field in Certification.model_fields.items() if field.is_required()} - {
    "head"
}


def evidence_of(
    scores: Mapping[str, Scores],
    flat: Scores,
    classes: Collection[int],
    chronological: bool,
    champion: ChampionEvidence | None = None,
) -> Evidence:
    """Evidence on a candidate: that of its weakest head.

    Parameters
    ----------
    scores
        What `score_head` gave, by head.
    flat
        Their mean over the heads.
    classes
        How many classes each head tells apart.
    chronological
        Whether the folds' models were trained on candles before their tests alone.

    Examples
    --------
    >>> weak = {"brier_skill": 0.1, "brier_skill_low": -0.1, "effective_rows": 60.0}
    >>> strong = {"brier_skill": 0.3, "brier_skill_low": 0.2, "effective_rows": 80.0}
    >>> flat = {"balanced_accuracy": 0.4}
    >>> evidence_of({"a": strong, "b": weak}, flat, [3, 2], True).brier_skill
    0.1
    """
    weakest = min(scores.values(), key=lambda head: head["brier_skill_low"])
    directed = [head for head in scores.values() if "direction_skill_low" in head]
    astray = min(directed, key=lambda head: head["direction_skill_low"], default={})
    return Evidence(
        finite=all(math.isfinite(value) for head in scores.values() for value in head.values()),
        chronological=chronological,
        effective_rows=min(head["effective_rows"] for head in scores.values()),
        brier_skill=weakest["brier_skill"],
        brier_skill_low=weakest["brier_skill_low"],
        brier_skill_p=_likeliest(scores.values(), "brier_skill_p"),
        direction_skill=astray.get("direction_skill"),
        direction_skill_low=astray.get("direction_skill_low"),
        direction_skill_p=_likeliest(directed, "direction_skill_p"),
        direction_effective_rows=min(
            (head[MOVED] for head in directed if MOVED in head), default=None
        ),
        classes=max(classes),
        balanced_accuracy=flat["balanced_accuracy"],
        champion=champion,
    )


def judge_alone(evidence: Evidence, gate: GateConfig) -> dict[str, Any]:
    """What the gate says of a candidate that is held against no champion, as JSON values.

    Returns
    -------
    dict
        ``verdict``: promote, observe, refuse, or undecidable (an observe for want of
        independent rows); ``outcome``: the gate's own word; ``sentence``; ``conditions``;
        ``level``: that of a whole portion of the yearly error, and ``p``, which it is held to.
    """
    verdict = judge(evidence, gate)
    asked = tuple(each for each in verdict.conditions if each.name != PORTION)
    verdict = verdict.model_copy(update={"conditions": asked})
    few = any(each.name in FEW and not each.passed for each in asked)
    undecidable = verdict.outcome == "observe" and few
    return {
        "verdict": UNDECIDABLE if undecidable else verdict.outcome,
        "sentence": _sentence(verdict),
        **verdict.model_dump(mode="json", include={"outcome", "conditions", "level", "p"}),
    }


def _likeliest(heads: Iterable[Scores], name: str) -> float | None:
    """The p of the head that luck explains best; None where one does not tell its own."""
    told = [head.get(name) for head in heads]
    known = [p for p in told if p is not None]
    return max(known) if known and len(known) == len(told) else None


def _sentence(verdict: Verdict) -> str:
    """The gate's sentence; where it would speak of there being no champion, one that does not."""
    if verdict.outcome != "promote":
        return verdict.sentence
    reasons = "; ".join(condition.reason for condition in verdict.conditions)
    return f"Promote, unless a champion stands against it: {reasons}."


def certifications(heads: Mapping[str, Mapping[str, Any]]) -> tuple[Certification, ...]:
    """What is told of refits, by head; one that says only why there is none is none."""
    told = {name: head.get("certification") or {} for name, head in sorted(heads.items())}
    return tuple(
        Certification.model_validate({**each, "head": name})
        for name, each in told.items()
        if {*each} >= _CERTIFIED
    )
