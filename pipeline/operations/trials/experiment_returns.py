"""Daily returns of experiments, from the equity that each run left in DVC's cache."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import yaml

from pipeline.experiments.overfitting import Overfitting, overfitting_of_returns
from pipeline.operations.trials.experiment_list import DONE, WORKSPACE, Experiment
from pipeline.operations.workspace import child_environment
from pipeline.stages import paths
from registry.files import read_if_there
from registry.slots import Slot

MINUTE = pd.Timedelta(minutes=1)
TRADED = "traded"


def overfitting_of(
    found: Sequence[Experiment], slots: Sequence[Slot | None], home: Path
) -> dict[str, Overfitting]:
    """Judge the experiments of each slot by daily returns on the days that all of them have.

    Runs with the same equity count once. A slot with fewer than two of them is left out.

    Parameters
    ----------
    slots
        Of the experiments, one each.
    """
    equities = _Equities(home)
    by_slot: dict[str, dict[bytes, pd.Series[float]]] = {}
    missing: dict[str, int] = {}
    for one, slot in zip(found, slots, strict=True):
        if slot and one.state == DONE and one.metrics:
            content = equities.read(one)
            if content is None:
                missing[str(slot)] = missing.get(str(slot), 0) + 1
            else:
                by_slot.setdefault(str(slot), {})[content] = daily(content)
    several = {slot: list(each.values()) for slot, each in by_slot.items() if len(each) > 1}
    return {slot: _judged(each, missing.get(slot, 0)) for slot, each in several.items()}


def daily(content: bytes) -> pd.Series[float]:
    r"""Returns by UTC day of what was traded, from the table of a run's equity.

    Examples
    --------
    >>> rows = "2025-01-01T12:00Z,traded,1.1\n2025-01-02T00:00Z,traded,1.2\n"
    >>> rows += "2025-01-03T00:00Z,traded,0.6\n"
    >>> daily(f"time,series,equity\n{rows}".encode()).round(9).tolist()
    [0.2, -0.5]
    """
    table = pd.read_csv(io.BytesIO(content))
    own = table[table["series"] == TRADED]
    day = (pd.DatetimeIndex(pd.to_datetime(own["time"], utc=True)) - MINUTE).floor("D")
    last = own["equity"].groupby(day).last().resample("D").ffill()
    return last / last.shift(fill_value=1.0) - 1.0


@dataclass(frozen=True, slots=True)
class _Equities:
    home: Path
    found: dict[str, Path] = field(default_factory=dict)

    def read(self, one: Experiment) -> bytes | None:
        """The run's table; None where it traded nothing or the cache has it no more."""
        content = read_if_there(self.home / paths.EQUITY) if one.name == WORKSPACE else None
        if one.name != WORKSPACE and (digest := _digest(one.revision, self.home)):
            content = read_if_there(self._cache() / digest[:2] / digest[2:])
        return content if content and b"\n" in content.rstrip() else None

    def _cache(self) -> Path:
        if "cache" not in self.found:
            command = [sys.executable, "-m", "dvc", "cache", "dir"]
            told = _said(command, self.home, child_environment(self.home, Path(sys.executable)))
            self.found["cache"] = Path(told.strip() or self.home / ".dvc" / "cache")
        return self.found["cache"] / "files" / "md5"


def _judged(each: list[pd.Series[float]], missing: int) -> Overfitting:
    common = pd.concat(each, axis=1, join="inner")
    return overfitting_of_returns(common.to_numpy("float64"), missing)


def _digest(revision: str, home: Path) -> str | None:
    """What ``dvc.lock`` of a revision says of the table."""
    told = yaml.safe_load(_said(["git", "show", f"{revision}:./dvc.lock"], home)) or {}
    outs = told.get("stages", {}).get("evaluate", {}).get("outs", ())
    return next((str(out["md5"]) for out in outs if out["path"] == str(paths.EQUITY)), None)


def _said(command: list[str], home: Path, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else ""
