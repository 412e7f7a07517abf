"""What is known of a candidate before it is judged, alone and against the champion."""

from __future__ import annotations

import json
from dataclasses import asdict

from pipeline import log
from pipeline.errors import VintageError
from pipeline.evaluation.backtest import Setup
from pipeline.evaluation.comparison import NO_ROWS, Difference
from pipeline.evaluation.evidence import certifications, evidence_of
from pipeline.evaluation.likeness import likeness
from pipeline.frames import read_frame
from pipeline.market.candles import moment
from pipeline.market.pool import Pool
from pipeline.operations.retraining.candidate import CARD, Candidate
from pipeline.operations.target import Target
from pipeline.operations.versions.comparing import Side, difference, money
from pipeline.operations.versions.later_rows import later_side
from pipeline.stages.paths import TRAINING_REPORT
from registry.budget import Asked
from registry.errors import RegistryError
from registry.evidence import ChampionEvidence, Evidence
from registry.history import Pointer
from registry.lineage import Kinship, kinship
from registry.manifest import VerifiedBundle
from registry.versions import Registry

APART = "it is not held against the champion, which is damaged or of another feed"


def evidence_on(
    built: Candidate, registry: Registry, target: Target, before: Pointer | None
) -> tuple[Evidence, Asked]:
    """What is known of a candidate, and what is asked with it; its version is not known yet."""
    against = _against(built, registry, target, before) if before else None
    as_of = target.plan.run.as_of
    asked = Asked("", "change", as_of, differs=APART) if before else Asked("", "first", as_of)
    if against:
        champion, akin = against
        asked = Asked("", akin.kind, as_of, champion.version, akin.differs)
    classes = [len(head.classes) for head in built.out_of_fold.values()]
    chronological = all(head.chronological for head in built.out_of_fold.values())
    found = evidence_of(built.scores, built.metrics, classes, chronological)
    refits = certifications(json.loads(built.files[TRAINING_REPORT.name])["heads"])
    told = {"champion": against[0] if against else None, "certified": refits}
    return found.model_copy(update=told), asked


def _against(
    built: Candidate, registry: Registry, target: Target, before: Pointer
) -> tuple[ChampionEvidence, Kinship] | None:
    """Nothing when the champion is damaged, as it protects nobody then, or of another feed."""
    try:
        incumbent = registry.open(target.slot, before.version)
    except RegistryError as error:
        told = {"slot": str(target.slot), "version": before.version, "why": str(error)}
        log.event("champion_damaged", log.WARNING, **told)
        return None
    card, run = incumbent.card(), target.plan.run
    if card["feed"] != run.feed:
        return None
    pool = isinstance(run.market, Pool)
    setup = None if pool else Setup(run.backtest, target.only_market, run.timeframe)
    ours = Side(run.feed, run.timeframe, built.out_of_fold, setup)
    theirs, found = _difference(ours, built, target, incumbent)
    akin = kinship(json.loads(built.files[CARD]), card)
    evidence = ChampionEvidence(
        version=before.version,
        mode=before.mode,
        is_newer=moment(card["as_of"]) > moment(run.as_of),
        **asdict(found),
        money=money(ours, theirs, target.store),
        likeness=likeness(ours.heads, theirs.heads),
    )
    return evidence, akin


def _difference(
    ours: Side, built: Candidate, target: Target, incumbent: VerifiedBundle
) -> tuple[Side, Difference]:
    """Out of fold against out of fold; without a common row, on rows after the champion's as_of."""
    theirs = Side.of(incumbent)
    found = difference(ours, theirs)
    if found.why_not != NO_ROWS:
        return theirs, found
    try:
        candles = read_frame(built.candles)
        later = later_side(incumbent, built.out_of_fold, candles, target.plan.plugins)
    except VintageError as error:
        log.event("champion_not_asked", log.WARNING, slot=str(target.slot), why=str(error))
        return theirs, found
    return later, difference(ours, later)
