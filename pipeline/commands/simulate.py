"""``vintage simulate``: replay a schedule through history, and say what retraining was worth."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.commands.arguments import checkout, parse, parser, require_known, with_words
from pipeline.commands.console import progress
from pipeline.commands.simulate_words import story
from pipeline.config import home
from pipeline.cores import WorkersFact, worker_count
from pipeline.errors import ConfigError
from pipeline.evaluation.backtest import Setup
from pipeline.experiments.simulate.figures import Simulated
from pipeline.experiments.simulate.history import History
from pipeline.experiments.simulate.page import render
from pipeline.experiments.simulate.schedule import Turn, turns
from pipeline.experiments.simulate.simulation import Given, simulate
from pipeline.fitting.trial import REGISTRY, TrialFacts
from pipeline.market.candles import moment
from pipeline.market.store import Series
from pipeline.market.sync import How, sync
from pipeline.operations.target import Target, require_past, resolve
from pipeline.stages import download
from registry.files import write_atomic

PAGES = Path("reports")
WEEKLY = "7d"
OWN = ("from", "to", "every")
EXAMPLES = (
    "vintage simulate recipe=demo from=2025-10-01 to=2025-12-01",
    "vintage simulate recipe=upbit_hourly market=KRW-SOL exchange=replay exchange.root=FOLDER "
    "from=2025-01-01 every=7d",
)


def main(argv: Sequence[str]) -> int:
    """Replay the schedule, print what came of it, and write a page."""
    made = parser("simulate", "What a schedule would have been worth, and the gate.", EXAMPLES)
    made.add_argument("--page", type=Path, metavar="FILE", help="where the page is written")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parse(with_words(made), argv)
    require_known(asked.words, OWN)
    span, words = span_of(asked.words)
    with progress("simulate", logged=True) as show, _resumable(argv):
        now = pd.Timestamp.now(tz="UTC")
        require_past(span.last, now, "to")
        target = resolve([*words, f"as_of={span.last}"], checkout() / "conf", home(), now, show)
        TrialFacts.of_local(target.plan.local, "compose").count(home() / REGISTRY, "simulate")
        found = simulate(_given(target, span, now, show))
    page = _write_page(found, asked.page)
    print(json.dumps(found.facts() | {"page": str(page)}) if asked.json else story(found, page))
    return 0


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when is simulated, and how often is retrained."""

    first: str
    last: str
    every: str


def span_of(words: Sequence[str]) -> tuple[Span, list[str]]:
    """Take ``from=``, ``to=`` and ``every=`` out of words; a date is its midnight in UTC.

    Raises
    ------
    ConfigError
        When ``from`` is missing.

    Examples
    --------
    >>> span_of(["recipe=demo", "from=2025-10-01", "every=1d"])
    (Span(first='2025-10-01T00:00Z', last='last', every='1d'), ['recipe=demo'])
    """
    told = dict(word.split("=", 1) for word in words if word.partition("=")[0] in OWN)
    if "from" not in told:
        raise ConfigError(
            "nothing says when the simulation begins",
            expected="from=2025-01-01, with to= and every=7d where they are others than usual",
        )
    rest = [word for word in words if word.partition("=")[0] not in OWN]
    last = _midnight(told.get("to", "last"))
    return Span(_midnight(told["from"]), last, told.get("every", WEEKLY)), rest


def _midnight(text: str) -> str:
    return f"{text}T00:00Z" if len(text) == len("2025-01-01") else text


def _given(target: Target, span: Span, now: pd.Timestamp, show: Callable[[str], None]) -> Given:
    plan, market = target.plan, target.only_market
    last = moment(plan.run.as_of)
    every = turns(moment(span.first, "from"), last, span.every, plan.run.timeframe)
    setup = Setup(plan.run.backtest, market, plan.run.timeframe)
    told = {**plan.stages["download"], "as_of": every[0].as_of.isoformat()}
    first, _ = download.span(download.Config.parse(told, "download"))
    history = History.of_store(
        target.store,
        _synced(target, target.series, (first, last), now),
        (first, last),
        plan.stages["validate"]["validation"].get("reference"),
    )
    return Given(
        plan=plan,
        every=span.every,
        turns=every,
        history=history,
        execution=_execution(target, setup, history, every),
        setup=setup,
        home=home(),
        workers=worker_count(WorkersFact.of_local(plan.local).workers),
        show=show,
    )


def _synced(
    target: Target, series: Series, span: tuple[pd.Timestamp, pd.Timestamp], now: pd.Timestamp
) -> Series:
    """The series, fetched where the store lacks some of the span."""
    if target.exchange.reachable and target.store.lacks(series, *span):
        how = How(now=now)
        market = target.only_market.instrument
        sync(target.store, target.exchange, market, series.timeframe, *span, how)
    return series


def _execution(
    target: Target, setup: Setup, history: History, every: Sequence[Turn]
) -> pd.DataFrame:
    """The candles that orders are filled on: the signals' own, or finer ones of the store."""
    finer = setup.profile.execution(setup.timeframe)
    if finer == setup.timeframe:
        return history.candles
    series = Series(target.exchange.feed, setup.market.name, finer)
    return target.store.read(series, history.candles.index[0], every[-1].until)


def _write_page(found: Simulated, page: Path | None) -> Path:
    facts = found.facts()
    name = "_".join([found.slot.replace("/", "-"), facts["from"][:10], facts["to"][:10]])
    page = page or home() / PAGES / f"simulation_{name}.html"
    write_atomic(page, render(found).encode())
    return page


@contextlib.contextmanager
def _resumable(argv: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted; every retrain that had ended is kept. To do: go on with "
            f"{shlex.join(['vintage', 'simulate', *argv])}; only the running ones begin anew."
        ) from None
