"""``vintage reenact``: a predecessor's figure beside what is left of it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from pipeline.commands.arguments import checkout, parse, parser
from pipeline.commands.console import WIDTH, progress, table, told
from pipeline.commands.reenact_candles import candles_of
from pipeline.commands.reenact_mistakes import MISTAKES, mistakes_in
from pipeline.config import home
from pipeline.errors import ConfigError
from pipeline.experiments.reenacted.figures import (
    Figure,
    Given,
    Reenacted,
    Reenactment,
    Tell,
)
from pipeline.experiments.reenacted.four_bars import four_bars
from pipeline.experiments.reenacted.page import render
from pipeline.experiments.reenacted.registry import REENACTMENTS, reenactment
from pipeline.experiments.reenacted.writing import written
from pipeline.operations.target import resolve
from registry.files import write_atomic

PAGES = Path("reports/reenacted")
EXAMPLES = (
    "vintage reenact",
    "vintage reenact dual exchange=replay exchange.root=FOLDER",
    "vintage reenact dual exchange=replay exchange.root=FOLDER model=lightgbm --json",
    "vintage reenact hourly market=KRW-SOL exchange=replay exchange.root=FOLDER",
    "vintage reenact all exchange=replay exchange.root=FOLDER --pictures pictures",
    "vintage reenact mistakes recipe=upbit_hourly exchange=replay exchange.root=FOLDER",
)
ALL = "all"
CLAIMED = ("change", "share", "loss")


def main(argv: Sequence[str]) -> int:
    """Re-enact predecessors' figures, print them, write a page of each; without a name, list."""
    made = parser("reenact", "Old figures earned anew: claimed, leaked, honest.", EXAMPLES)
    made.add_argument("words", nargs="*", metavar="NAME key=value", help="what, on which candles")
    made.add_argument("--page", type=Path, metavar="FILE", help="where the page of one is written")
    made.add_argument("--pictures", type=Path, metavar="FOLDER", help="where pictures are written")
    made.add_argument("--json", action="store_true", help="print one JSON object for each claim")
    asked = parse(made, argv)
    if not asked.words:
        print(table(("name", "figure"), _names()))
        return 0
    name, *words = asked.words
    if name == MISTAKES:
        return mistakes_in(words, asked.json)
    with progress("reenact") as show:
        found = [one for each in _named(_plain(name)) for one in _run(each, words, show)]
    _write_pictures(found, asked.pictures)
    for one, page in zip(found, _pages(found, asked.page), strict=True):
        write_atomic(page, render(one).encode())
        told = json.dumps(one.facts()) if asked.json else "\n".join([*story(one), _page(page)])
        print(told if asked.json or len(found) == 1 else f"{told}\n")
    if len(found) > 1 and not asked.json:
        print(_beside(found))
    return 0


def _names() -> list[tuple[str, str]]:
    every = [(one.name, one.summary) for one in REENACTMENTS.values()]
    return [*every, (ALL, "all of them"), (MISTAKES, "do they stand in a recipe of yours?")]


def _named(name: str) -> tuple[Reenactment, ...]:
    return (*REENACTMENTS.values(),) if name == ALL else (reenactment(name),)


def _run(chosen: Reenactment, words: Sequence[str], show: Tell) -> Iterator[Reenacted]:
    """Every claim of a re-enactment, market by market where the words name none."""
    given = {word.partition("=")[0] for word in words}
    for market, usual in ({"": ()} if "market" in given else chosen.markets or {"": ()}).items():
        own = [f"recipe={chosen.recipe}", *([f"market={market}"] if market else []), *usual]
        named = [*(word for word in own if word.partition("=")[0] not in given), *words]
        now = pd.Timestamp.now(tz="UTC")
        target = resolve(named, checkout() / "conf", home(), now, show)
        yield from chosen.run(
            Given(
                candles_of(target, target.only_market, now), target.plan, target.series.feed, show
            )
        )


def _pages(found: Sequence[Reenacted], asked: Path | None) -> list[Path]:
    if asked is None:
        return [home() / PAGES / f"{one.name}.html" for one in found]
    if len(found) > 1:
        raise ConfigError(
            "one page is asked for, and there are several", found=", ".join(o.name for o in found),
            fix="leave --page out: each is written below reports/reenacted",
        )  # fmt: skip
    return [asked]


def _write_pictures(found: Sequence[Reenacted], folder: Path | None) -> None:
    if folder is None:
        return
    made = {name: text for one in reversed(found) for name, text in one.pictures.items()}
    if hours := [one for one in found if one.name.startswith("hourly-")]:
        made["four-markets.svg"] = four_bars(hours)
    for name, text in made.items():
        write_atomic(folder / name, text.encode())


def _beside(found: Sequence[Reenacted]) -> str:
    """Every claimed number beside the old procedure's and the honest one."""
    rows = []
    for one in found:
        for trio in one.beside:
            named = [one.figure(name).values for name in (trio.claimed, trio.then, trio.honest)]
            for column in one.columns:
                if named[0][column.key] is not None and column.kind in CLAIMED:
                    cells = [written(values[column.key], column.kind) for values in named]
                    rows.append((f"{one.name}, {column.title}", *cells))
    return table(("figure", "claimed", "as then", "honest"), rows)


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
    for text in found.unknown:
        yield _paragraph(f"Not run again: {text}")


def _earned(found: Reenacted) -> str:
    if not found.reached:
        return "Nothing here comes to as much as was claimed."
    first = found.columns[0]
    each = [f"{f.whole_title} ({written(f.values[first.key], first.kind)})" for f in found.reached]
    told = f"As much as was claimed comes out of: {', '.join(each)}."
    if found.earned_by == "empty":
        return f"{told} What always saying the same reaches, says nothing of a model."
    return f"{told} That is {found.earned}."


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
        names = ", ".join([*REENACTMENTS, ALL, MISTAKES])
        raise ConfigError(
            "what is to be re-enacted?", found=name, expected=f"one of {names}, then key=value"
        )
    return name
