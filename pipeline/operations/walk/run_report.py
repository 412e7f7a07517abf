"""What a walk leaves to be read: ``reports/training_report_<time>`` as JSON and as text."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import from_system
from pipeline.operations.walk.slot_result import SlotResult, exit_code_of
from registry.files import write_atomic
from registry.tables import cell, table

FOLDER, STEM = Path("reports"), "training_report_"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a walk was: its run, its words, when it began and ended."""

    run: str
    asked: str
    executor: str
    began: pd.Timestamp
    ended: pd.Timestamp


@dataclass(frozen=True, slots=True)
class RunReport:
    """A walk and what came of each of its slots."""

    facts: RunFacts
    slots: Sequence[SlotResult]

    @property
    def exit_code(self) -> int:
        """The worst of the slots."""
        return exit_code_of(self.slots)

    def to_json(self) -> dict[str, Any]:
        """Plain values; moments in UTC."""
        facts = self.facts
        return {
            "run": facts.run,
            "asked": facts.asked,
            "executor": facts.executor,
            "began": facts.began.isoformat(),
            "ended": facts.ended.isoformat(),
            "seconds": round((facts.ended - facts.began).total_seconds(), 3),
            "exit_code": self.exit_code,
            "slots": [dataclasses.asdict(result) for result in self.slots],
        }

    def to_text(self) -> str:
        """A table of the slots, and below it what was said of each."""
        facts = self.facts
        took = (facts.ended - facts.began).total_seconds()
        lines = [
            f"{len(self.slots)} {'slot' if len(self.slots) == 1 else 'slots'} in {took:.1f} s: "
            f"{_counts(self.slots)}; exit code {self.exit_code}",
            f"run {facts.run}, {cell(facts.asked)}, executor {cell(facts.executor)}",
            "",
            table([_row(result) for result in self.slots]),
            "",
            *(f"{cell(result.slot)}: {_said(result)}" for result in self.slots),
        ]
        return "\n".join(lines)


def leave_report(report: RunReport, home: Path) -> Path | None:
    """Write both files; the path of the text. A full disk does not undo what was done."""
    try:
        return write_report(report, home)
    except OSError as error:
        sys.stderr.write(f"report not written: {from_system(error)}\n")
        return None


def write_report(report: RunReport, home: Path) -> Path:
    """Write both files; the path of the text. One of the same second gets a number."""
    stem = f"{STEM}{report.facts.began:%Y%m%dT%H%M%SZ}"
    number = 2
    name = stem
    while (home / FOLDER / f"{name}.json").exists():
        name, number = f"{stem}-{number}", number + 1
    told = json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n"
    write_atomic(home / FOLDER / f"{name}.json", told.encode())
    text = home / FOLDER / f"{name}.txt"
    write_atomic(text, (report.to_text() + "\n").encode())
    return text


def _row(result: SlotResult) -> dict[str, Any]:
    return {
        "slot": result.slot,
        "state": result.state,
        "as_of": result.as_of[:16].replace("T", " "),
        "version": result.version,
        "champion": result.champion,
        "stages": len(result.stages),
        "seconds": round(result.seconds, 1),
        "CPU s": round(result.cpu_seconds, 1),
        "MiB": result.peak_mb,
        "code": result.exit_code,
    }


def _counts(slots: Sequence[SlotResult]) -> str:
    states = [result.state for result in slots]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def _said(result: SlotResult) -> str:
    return cell(result.error or result.sentence or "nothing to tell")
