"""Audit what words choose, keep the outcome, and note it on the versions that it speaks of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline import log
from pipeline.configuration.choices import choose
from pipeline.configuration.compose import read_root
from pipeline.configuration.conf_groups import parse_words
from pipeline.configuration.plan import Plan
from pipeline.cores import worker_count
from pipeline.experiments.audit.plans import own_plan
from pipeline.experiments.audit.power import FULL, SHORT
from pipeline.experiments.audit.results import keep
from pipeline.experiments.audit.run import Asked, Audit, audit
from pipeline.market.candles import REQUIRED
from pipeline.market.store import CandleStore, Series
from pipeline.operations.places import Places
from pipeline.operations.versions.audit_notes import note_versions

LEAST_BARS, MOST_BARS = 2_000, 50_000  # recorded candles that are worth being shuffled
SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class Audited:
    """An audit, its file, where recorded bars came from, and the versions it was noted on."""

    audit: Audit
    file: Path
    bars: str | None
    noted: tuple[str, ...]


def audit_recipe(
    words: Sequence[str], places: Places, full: bool, at: str, show: Callable[[str], None]
) -> Audited:
    """Audit what words choose.

    Raises
    ------
    ConfigError
        When a word names nothing.
    """
    conf = places.checkout / "conf"
    root = read_root(conf)
    choices = choose(root.choices, parse_words(words))
    plan = own_plan(choices, conf)
    series = _recorded(places.home, plan)
    bars = _bars(places.home, series) if series else None
    workers = worker_count(plan.local["workers"])
    asked = Asked(choices, conf, FULL if full else SHORT, full, workers, bars)
    log.event("audit_started", recipe=plan.run.recipe, full=full)
    made = audit(asked, show)
    log.event("audit_finished", recipe=made.recipe, digest=made.digest, passed=made.passed)
    path = keep(made, places.home)
    noted = tuple(note_versions(places.registry, made, at))
    return Audited(made, path, str(series) if series else None, noted)


def _recorded(home: Path, plan: Plan) -> Series | None:
    """The longest series of the recipe's markets that an exchange recorded."""
    store, names = (
        CandleStore(home / "data" / "store"),
        {each.name for each in plan.run.market.members},
    )
    found = {
        series: store.span(series)
        for series in store.series()
        if series.market in names
        and series.timeframe == plan.run.timeframe
        and not series.feed.startswith(SIMULATED)
    }
    rows = {series: span.rows for series, span in found.items() if span}
    longest = max(rows, key=lambda series: (rows[series], str(series)), default=None)
    return longest if longest and rows[longest] >= LEAST_BARS else None


def _bars(home: Path, series: Series) -> pd.DataFrame:
    return CandleStore(home / "data" / "store").read(series)[list(REQUIRED)].iloc[-MOST_BARS:]
