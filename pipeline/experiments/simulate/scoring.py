"""From answers and outcomes to losses, turn by turn; what was scored is kept."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.build import build
from pipeline.code_digest import code_of
from pipeline.evaluation.bootstrap import Floats, Ints
from pipeline.evaluation.measures import log_loss, odds
from pipeline.evaluation.metrics import MOVES
from pipeline.experiments.simulate.answering import Answers
from pipeline.experiments.simulate.fitting import FittedTurn, keyed_moments
from pipeline.experiments.simulate.folders import SHORT
from pipeline.experiments.simulate.losses import OWN, USUAL, Losses
from pipeline.experiments.simulate.parcel import Parcel, as_array, as_bytes, wrap
from pipeline.experiments.simulate.policies import newest
from registry.files import sha256, write_atomic

FOLDER = "losses"
COLUMNS, DAYS, SUMS = "columns.json", "days.npy", "sums"
Columns = dict[tuple[str, str, str], Floats]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What happened at the rows of a head: its label, or outcomes whose classes are learned."""

    frame: pd.DataFrame
    classes: tuple[str, ...]

    @property
    def values(self) -> npt.NDArray[Any]:
        """Classes, or outcomes."""
        return self.frame["label" if "label" in self.frame else "outcome"].to_numpy()

    def within(self, answers: Answers) -> bytes:
        """The part that a turn's answers are scored by."""
        times = keyed_moments(self.frame)
        own = np.asarray((times >= answers.turn.as_of) & (times < answers.turn.until))
        found: bytes = times.as_unit("ms").asi8[own].tobytes() + self.values[own].tobytes()
        return found


@dataclass(frozen=True, slots=True)
class Placed:
    """Rows of a head's answers whose outcome is known: which they are, and what it was."""

    rows: Ints
    outcomes: npt.NDArray[Any]
    day: pd.DatetimeIndex


@dataclass(frozen=True, slots=True)
class Scoring:
    """Scores the answers of whole turns, and keeps the sums in files."""

    outcomes: Mapping[str, Outcomes]
    plugins: tuple[str, ...]
    folder: Path
    code: str

    @classmethod
    def of(
        cls, outcomes: Mapping[str, Outcomes], plugins: tuple[str, ...], folder: Path
    ) -> Scoring:
        """How this code scores; other code scores anew."""
        return cls(outcomes, plugins, folder, code_of([__name__], plugins).digest)

    def of_turn(self, answers: Answers, fitted: Sequence[FittedTurn]) -> dict[int, Losses]:
        """Losses of every model that answered, by the number of its turn.

        Where a label learns, what happened is told by what the newest model learned, whoever
        answers: so all are asked the same.
        """
        number = newest(fitted, answers.turn.number)
        if not answers.models or number is None:
            return {}
        told = [self.code.encode(), fitted[number].file.name.encode()]
        told += [own.within(answers) for own in self.outcomes.values()]
        digest = sha256(b"".join(told))
        file = self.folder / FOLDER / f"{answers.name}-{digest[:SHORT]}.zip"
        if not file.is_file():
            placed = self._placed(answers, fitted[number])
            scored = {
                model: self._losses(answers, fitted[model], placed) for model in answers.models
            }
            write_atomic(file, _packed(scored))
        return _unpacked(Parcel(file), answers)

    def _placed(self, answers: Answers, judge: FittedTurn) -> dict[str, Placed]:
        found = {}
        for head, own in self.outcomes.items():
            placed = placed_rows(answers.keys(head), own)
            rule: Any = judge.heads[head]["rule"]
            if rule is not None:
                learned = build(rule, f"rule of {head}", self.plugins)
                placed = replace(placed, outcomes=learned.assign(placed.outcomes))
            found[head] = placed
        return found

    def _losses(self, answers: Answers, model: FittedTurn, placed: Mapping[str, Placed]) -> Losses:
        parts = []
        for head, own in placed.items():
            truth, classes = np.asarray(own.outcomes, "int64"), self.outcomes[head].classes
            chances = answers.chances(model.turn.number, head)[own.rows]
            shares = model.heads[head]["class_shares"]
            usual = np.tile([float(shares[name]) for name in classes], (len(truth), 1))
            columns = _columns({OWN: chances, USUAL: usual}, truth, classes, head)
            parts.append(_by_day(columns, own.day))
        table = pd.concat(parts, axis=1).fillna(0.0).sort_index()
        return Losses(table.set_axis(_keyed(table.index, answers.turn.number), axis=0))


def placed_rows(keys: pd.MultiIndex, outcomes: Outcomes) -> Placed:
    """Find what happened at the rows of answers; a candle answers for every trade open at it."""
    labels = outcomes.frame.index
    assert isinstance(labels, pd.MultiIndex)
    if "trade" in labels.names and "trade" not in keys.names:
        places = keys.get_indexer(labels.droplevel("trade"))
        known = np.flatnonzero(places >= 0)
        rows, found = places[known], known
    else:
        places = labels.get_indexer(keys)
        rows = np.flatnonzero(places >= 0)
        found = places[rows]
    day = pd.DatetimeIndex(keys.get_level_values("time")[rows]).floor("D")
    return Placed(np.asarray(rows, "int64"), outcomes.values[found], day)


def _columns(
    both: Mapping[str, Floats], truth: Ints, classes: tuple[str, ...], head: str
) -> Columns:
    found: Columns = {
        ("log_loss", head, kind): log_loss(said, truth) for kind, said in both.items()
    }
    found["log_loss", head, "rows"] = np.ones(len(truth))
    if not {*MOVES} < {*classes}:
        return found
    pair = [classes.index(name) for name in MOVES]
    moved, rose = np.isin(truth, pair), truth == pair[1]
    for kind, said in both.items():
        loss = 2 * (odds(said[:, pair]) - rose) ** 2
        found["direction", head, kind] = np.where(moved, loss, 0.0)
    found["direction", head, "rows"] = moved.astype("float64")
    return found


def _by_day(columns: Columns, day: pd.DatetimeIndex) -> pd.DataFrame:
    days, place = np.unique(day.as_unit("ms").asi8, return_inverse=True)
    sums = [np.bincount(place, each, len(days)) for each in columns.values()]
    table = np.column_stack(sums)
    moments = pd.DatetimeIndex(days.astype("datetime64[ms]"), tz="UTC")
    return pd.DataFrame(table, moments, _named(columns))


def _named(columns: Iterable[tuple[Hashable, ...]]) -> pd.MultiIndex:
    return pd.MultiIndex.from_tuples(list(columns), names=["measure", "head", "kind"])


def _keyed(days: pd.Index, turn: int) -> pd.MultiIndex:
    return pd.MultiIndex.from_product([[turn], days], names=["turn", "day"])


def _packed(scored: Mapping[int, Losses]) -> bytes:
    first = next(iter(scored.values())).sums
    days = pd.DatetimeIndex(first.index.get_level_values("day")).as_unit("ms").asi8
    files = {
        COLUMNS: json.dumps([list(each) for each in first.columns]).encode(),
        DAYS: as_bytes(days),
    }
    for model, losses in scored.items():
        files[f"{SUMS}/{model}"] = as_bytes(losses.sums.to_numpy("float64"))
    return wrap(files)


def _unpacked(files: Parcel, answers: Answers) -> dict[int, Losses]:
    columns = _named(tuple(each) for each in json.loads(files[COLUMNS]))
    moments = np.asarray(as_array(files[DAYS]), "int64").astype("datetime64[ms]")
    days = pd.DatetimeIndex(moments, tz="UTC")
    index = _keyed(days, answers.turn.number)
    sums = {
        model: np.asarray(as_array(files[f"{SUMS}/{model}"]), "float64") for model in answers.models
    }
    return {model: Losses(pd.DataFrame(each, index, columns)) for model, each in sums.items()}
