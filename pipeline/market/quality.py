"""What the candles of a cut are like, as ``data/quality.json`` and the report tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from pipeline.market.checks import span
from pipeline.market.checks.breach import WIDE
from pipeline.market.checks.cut import Cut
from pipeline.market.holes import KINDS
from registry.tables import table

Verdict = Literal["stop", "drop", "quarantine", "count"]
BETWEEN = "; "  # checks that found something
DONE: dict[Verdict, str] = {
    "stop": "stopped at",
    "drop": "dropped",
    "quarantine": "set aside",
    "count": "counted",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One named check that found something, its verdict, how many rows, and the first of them."""

    name: str
    verdict: Verdict
    rows: int
    first: str = ""

    def __str__(self) -> str:
        """One phrase for a person; what is found of the whole cut has no rows."""
        if self.name in WIDE:
            return f"{self.name}: {WIDE[self.name]}, from {self.first}"
        return f"{self.name}: {_many(self.rows, 'row')} {DONE[self.verdict]}, first {self.first}"


@dataclass(frozen=True, slots=True)
class Quality:
    """What the candles of a cut are like, and what was taken out of them.

    Parameters
    ----------
    missing_by_kind, longest_by_kind
        Candles missing between the first and the last, and the most in a row, by kind of hole.
    holes, longest_hole
        Places where candles are missing, and the most in a row, whatever the kind.
    history_short
        Whether the cut starts later than asked.
    revised
        Candles whose source told other values before.
    checks
        Those that found something and did not stop the run.
    """

    candles: int
    missing: int
    missing_by_kind: dict[str, int]
    longest_by_kind: dict[str, int]
    holes: int
    longest_hole: int
    first: pd.Timestamp
    last: pd.Timestamp
    history_short: bool
    revised: int
    checks: tuple[Check, ...]

    def to_dict(self) -> dict[str, int | bool | str]:
        """Flat and ready for JSON; moments as ISO text, what checks found in one line."""
        return {
            "candles": self.candles,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "history_short": self.history_short,
            "missing": self.missing,
            "holes": self.holes,
            "longest_hole": self.longest_hole,
            **{f"missing_{kind}": count for kind, count in self.missing_by_kind.items()},
            **{f"longest_{kind}": count for kind, count in self.longest_by_kind.items()},
            "revised": self.revised,
            "dropped": self._rows("drop"),
            "quarantined": self._rows("quarantine"),
            "broken": BETWEEN.join(map(str, self.checks)),
        }

    def _rows(self, verdict: Verdict) -> int:
        return sum(check.rows for check in self.checks if check.verdict == verdict)


def quality_of(cut: Cut, broken: tuple[Check, ...]) -> Quality:
    """Count what is there and what is missing, after every check had its say."""
    skipped, gone = span.missing_before(cut), span.missing(cut)
    start = cut.asked.start.ceil(cut.step) if cut.asked else None
    return Quality(
        candles=len(cut.times),
        missing=int(skipped.sum()),
        missing_by_kind={
            kind: sum(hole.candles for hole in gone if hole.kind == kind) for kind in KINDS
        },
        longest_by_kind={kind: span.longest_of(gone, kind) for kind in KINDS},
        holes=int((skipped > 0).sum()),
        longest_hole=int(skipped.max(initial=0)),
        first=cut.times[0],
        last=cut.times[-1],
        history_short=start is not None and bool(cut.times[0] > start),
        revised=int(cut.times.isin(list(cut.asked.revised)).sum()) if cut.asked else 0,
        checks=broken,
    )


def summary(facts: dict[str, Any]) -> str:
    """Tell a person what ``data/quality.json`` holds: the span, what is missing, what broke."""
    ends = " to ".join(f"{pd.Timestamp(facts[end]):%Y-%m-%d %H:%M}" for end in ("first", "last"))
    of = f" of {facts['feed']}" if "feed" in facts else ""
    told = [f"{_many(facts['candles'], 'candle')}{of}, {ends} UTC", *_sources(facts)]
    if facts["missing"]:
        told += [
            "",
            f"{facts['missing']} missing in {_many(facts['holes'], 'hole')}",
            _missing(facts),
        ]
    else:
        told.append("no candle is missing")
    if facts["broken"]:
        told += [
            "",
            "found, and no reason to stop",
            *(f"  {each}" for each in facts["broken"].split(BETWEEN)),
        ]
    else:
        told.append("no check found anything")
    return "\n".join(told)


def _sources(facts: dict[str, Any]) -> list[str]:
    rows = {key: count for key, count in facts.items() if key.startswith("rows_from_")}
    each = (f"{count} from {key.removeprefix('rows_from_')}" for key, count in rows.items())
    return [", ".join(each)] if rows else []


def _missing(facts: dict[str, Any]) -> str:
    return table(
        [
            {
                "why": f"{kind}: {span.REASONS[kind]}",
                "candles": facts[f"missing_{kind}"],
                "longest in a row": facts[f"longest_{kind}"],
            }
            for kind in KINDS
        ]
    )


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
