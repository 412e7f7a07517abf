"""``vintage data import|export|backup|restore``: candles in files."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.commands.console import progress
from pipeline.commands.data_status import held, keep_marks, the_store
from pipeline.errors import ConfigError, DataError, nearest
from pipeline.market.transfer.archive import Restored, backup, restore
from pipeline.market.transfer.exporting import export
from pipeline.market.transfer.importing import Import, Said, bring, look
from pipeline.market.transfer.layouts import UNKNOWN

SPARSE = 0.5  # share of a span that a file lacks, from which on one should ask why
SAID = ("feed", "market", "timeframe", "zone")


def bring_in(asked: argparse.Namespace) -> int:
    """Bring candles of files into the store, or say what that would do."""
    said, names = _said(asked.words)
    if not names:
        raise ConfigError("which file?", fix="vintage data import FILE [feed= market= zone=]")
    store, now = the_store(), pd.Timestamp.now(tz="UTC")
    for name in names:
        with progress("import") as show:
            show(name)
            found = look(Path(name), said, store, now)
            new = len(found.candles) - found.known
            if not asked.check:
                new = bring(found, store)
        print(json.dumps(_facts(found, new)) if asked.json else _story(found, new, asked.check))
    return 0


def put_out(asked: argparse.Namespace) -> int:
    """Write one series to a file."""
    name, file = _two(asked.words)
    store, path = the_store(), Path(file)
    series = held(store, name)
    with progress("export") as show:
        show(name)
        rows = export(store, series, path, asked.force)
    facts = {"series": str(series), "rows": rows, "file": str(path)}
    print(json.dumps(facts) if asked.json else f"{series}: {rows} candles in {path}")
    return 0


def keep(asked: argparse.Namespace) -> int:
    """Write the whole store to a file."""
    path = _one(asked.words, "backup")
    with progress("backup") as show:
        show(str(path))
        count = backup(the_store(), path, asked.force)
    size = path.stat().st_size
    facts = {"series": count, "bytes": size, "file": str(path)}
    told = f"{count} series, {size / 2**20:.1f} MiB in {path}"
    print(json.dumps(facts) if asked.json else told)
    return 0


def put_back(asked: argparse.Namespace) -> int:
    """Put a backup back, verified first."""
    path, store = _one(asked.words, "restore"), the_store()
    keep_marks(store, store.series())
    with progress("restore") as show:
        show(str(path))
        done = restore(store, path, pd.Timestamp.now(tz="UTC"), asked.force)
    if asked.json:
        told = [{"series": str(one.series), "changed": one.changed} for one in done]
        print(json.dumps(told))
    else:
        for one in done:
            print(f"{one.series}: {_outcome(one)}")
    damaged = [one.damaged for one in done if one.damaged]
    if damaged:
        raise DataError(
            "in the backup a month is damaged, its series was left out",
            where=", ".join(str(one.series) for one in done if one.damaged),
            found="; ".join(damaged),
            fix="take that series from an older backup, or fetch it anew; the others are restored",
        )
    return 0


def _outcome(one: Restored) -> str:
    if one.damaged:
        return "left as it is, for it is damaged in the backup"
    return "restored" if one.changed else "as in the backup already"


def _said(words: Sequence[str]) -> tuple[Said, list[str]]:
    given: dict[str, str] = {}
    files = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():
            files.append(word)
        elif key in SAID:
            given[key] = value
        else:
            raise ConfigError(f"unknown word '{key}'", where="data import", fix=nearest(key, SAID))
    return Said(**given), files


def _facts(found: Import, new: int) -> dict[str, Any]:
    return {
        "file": str(found.path),
        "writer": found.writer,
        "series": str(found.series),
        "rows": len(found.candles),
        "first": _ends(found)[0],
        "last": _ends(found)[1],
        "new": new,
        "known": found.known,
        "missing": found.missing,
        "dropped": list(found.dropped),
        "ignored": list(found.ignored),
        "zone": found.why,
    }


def _story(found: Import, new: int, check: bool) -> str:
    first, last = (text[:16].replace("T", " ") for text in _ends(found))
    told = f"would add {new}" if check else f"added {new}"
    lines = [
        f"{found.path.name} -> {found.series}: {told} candles, {found.known} were stored already",
        f"  written   {_written_by(found.writer)}",
        f"  span      {first} to {last} UTC",
        *_missing(found),
        f"  zone      {found.why}",
        *(f"  dropped   {reason}" for reason in found.dropped),
    ]
    if found.ignored:
        lines.append(f"  not read  {', '.join(found.ignored)}")
    return "\n".join(lines)


def _written_by(writer: str) -> str:
    return f"by {writer}, as its name says" if writer != UNKNOWN else "by nobody its name tells"


def _missing(found: Import) -> list[str]:
    if not found.missing:
        return []
    share = found.missing / (found.missing + len(found.candles))
    told = f"  missing   {found.missing} of {found.missing + len(found.candles)} candles inside it"
    if share <= SPARSE:
        return [told]
    warning = f"  WARNING   the file lacks {share:.0%} of its span: is it "
    warning += f"{found.series.timeframe} candles of one market, and whole?"
    return [told, warning]


def _ends(found: Import) -> tuple[str, str]:
    if found.candles.empty:
        return "", ""
    return found.candles.index[0].isoformat(), found.candles.index[-1].isoformat()


def _one(words: Sequence[str], action: str) -> Path:
    match list(words):
        case [file]:
            return Path(file)
    raise ConfigError(f"vintage data {action} takes one file", found=" ".join(words) or "none")


def _two(words: Sequence[str]) -> tuple[str, str]:
    match list(words):
        case [series, file]:
            return series, file
    raise ConfigError(
        "vintage data export takes a series and a file",
        found=" ".join(words) or "none",
        fix="vintage data export upbit/KRW-SOL/1h upbit_KRW-SOL_1h.csv",
    )
