"""``vintage reenact``: a predecessor's figure beside what is left of it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from pipeline.build import build
from pipeline.commands.arguments import checkout, parse, parser
from pipeline.commands.console import WIDTH, progress, table, told
from pipeline.config import home
from pipeline.errors import ConfigError, DataError
from pipeline.experiments.reenacted.figures import Figure, Given, Reenacted
from pipeline.experiments.reenacted.page import render
from pipeline.experiments.reenacted.registry import REENACTMENTS, reenactment
from pipeline.experiments.reenacted.writing import written
from pipeline.market.checks.cut import Asked
from pipeline.market.sync import How, sync
from pipeline.operations.target import Target, resolve
from pipeline.stages import download
from registry.files import write_atomic

PAGES = Path("reports/reenacted")
EXAMPLES = (
    "vintage reenact",
    "vintage reenact dual exchange=replay exchange.root=FOLDER",
    "vintage reenact dual exchange=replay exchange.root=FOLDER model=lightgbm --json",
)


def main(argv: Sequence[str]) -> int:
    """Re-enact one predecessor's figures, print them, and write a page; without a name, list."""
    made = parser("reenact", "Old figures earned anew: claimed, leaked, honest.", EXAMPLES)
    made.add_argument("words", nargs="*", metavar="NAME key=value", help="what, on which candles")
    made.add_argument("--page", type=Path, metavar="FILE", help="where the page is written")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parse(made, argv)
    if not asked.words:
        print(table(("name", "figure"), [(one.name, one.summary) for one in REENACTMENTS.values()]))
        return 0
    name, *words = asked.words
    with progress("reenact") as show:
        chosen = reenactment(_plain(name))
        own = () if any(word.startswith("recipe=") for word in words) else (chosen.recipe,)
        named = [*(f"recipe={recipe}" for recipe in own), *words]
        now = pd.Timestamp.now(tz="UTC")
        target = resolve(named, checkout() / "conf", home(), now, show)
        found = chosen.run(Given(_candles(target, now), target.plan, target.series.feed, show))
    page = asked.page or home() / PAGES / f"{found.name}.html"
    write_atomic(page, render(found).encode())
    print(json.dumps(found.facts()) if asked.json else "\n".join([*story(found), _page(page)]))
    return 0


def story(found: Reenacted) -> Iterator[str]:
    """Lines for people: every figure with its standing, then what each of them is."""
    yield f"{found.title}\n"
    for key, text in found.told.items():
        yield told(key, text)
    yield from _tables(found)
    yield ""
    yield told("earned", _earned(found))
    yield ""
    for title, verdict, why in dict.fromkeys((f.title, f.verdict, f.why) for f in found.figures):
        standing = "" if verdict == title.lower() else f", {verdict}"
        yield _paragraph(f"{title}{standing}: {why}")


def _earned(found: Reenacted) -> str:
    if not found.reached:
        return "Nothing here comes to as much as was claimed."
    first = found.columns[0]
    each = [f"{f.whole_title} ({written(f.values[first.key], first.kind)})" for f in found.reached]
    return f"As much as was claimed comes out of: {', '.join(each)}. That is {found.earned}."


def _tables(found: Reenacted) -> Iterator[str]:
    header = ["", *(column.title for column in found.columns), ""]
    rows = {one.name: [one.title, *_cells(one, found), one.verdict] for one in found.figures}
    widths = [max(map(len, cells)) for cells in zip(header, *rows.values(), strict=True)]
    for group, figures in found.groups.items():
        yield f"\n{group}".rstrip()
        yield _line(header, widths)
        for figure in figures:
            yield _line(rows[figure.name], widths)


def _cells(figure: Figure, found: Reenacted) -> list[str]:
    return [written(figure.values[column.key], column.kind) for column in found.columns]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True)]
    return "  ".join(["", row[0].ljust(widths[0]), *cells, row[-1]]).rstrip()


def _paragraph(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _page(path: Path) -> str:
    return f"\n{told('page', str(path))}"


def _plain(name: str) -> str:
    if "=" in name:
        names = ", ".join(REENACTMENTS)
        raise ConfigError(
            "what is to be re-enacted?", found=name, expected=f"one of {names}, then key=value"
        )
    return name


def _candles(target: Target, now: pd.Timestamp) -> pd.DataFrame:
    """The recipe's span out of the store, fetched where the store lacks it, and checked."""
    config = download.Config.model_validate(target.plan.stages["download"])
    start, end = download.span(config)
    store, series, run = target.store, target.series, target.plan.run
    if target.exchange.reachable and store.lacks(series, start, end):
        how = How(now=now)
        sync(store, target.exchange, target.only_market.instrument, run.timeframe, start, end, how)
    candles = store.read(series, start, end)
    if candles.empty:
        raise DataError(
            f"no candles of {run.market.name} before as_of",
            where=f"feed {series.feed}, {run.timeframe}",
            fix="name a source for them: exchange=replay exchange.root=FOLDER",
        )
    node = target.plan.stages["validate"]["validation"]
    rules = build(node, "validation", target.plan.plugins)
    asked = Asked(run.market.name, start, tuple(store.holes(series, start, end)))
    checked: pd.DataFrame = rules.sift(candles, run.timeframe, end, asked).candles
    return checked
