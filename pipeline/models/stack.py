"""Models beneath a model: a meta model judges what bases said of rows they did not learn from.

The rows of a fit are cut again, in order of time and purged. The meta model learns from the
out-of-fold probabilities of these inner folds (Wolpert, "Stacked generalization", 1992); then every
base is fitted on all rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field, field_validator

from pipeline.build import TARGET, build
from pipeline.config import Node, Record
from pipeline.errors import ConfigError, DataError, nearest
from pipeline.models.base import FeatureTable, Files, Fitted, Floats, Model, Report, Rows, Samples
from pipeline.splits.fold import check_folds
from pipeline.splits.walk_forward import WalkForward

DECLARATION, META = "stack.json", "meta"
BaseName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class Stack(Record):
    """Bases and meta are models of their own, each with its `_target_`.

    The meta model sees the bases' probabilities, those of a first class apart, which follow from
    the others, and `features`, columns of the newest row.
    """

    bases: Annotated[dict[BaseName, Node], Field(min_length=1)]
    meta: Node
    features: tuple[str, ...] = ()
    split: WalkForward

    @field_validator("bases")
    @classmethod
    def _bases_are_models(cls, nodes: dict[str, Node]) -> dict[str, Node]:
        if META in nodes:
            raise ValueError(f"a base is not called '{META}', which is the model above")
        return {name: _written_back(node, f"base {name}") for name, node in nodes.items()}

    @field_validator("meta")
    @classmethod
    def _meta_sees_one_row(cls, node: Node) -> Node:
        if _model(node, META).lookback > 1:
            raise ValueError("the meta model looks back; it is given single rows")
        return _written_back(node, META)

    @property
    def lookback(self) -> int:
        """As far back as any base looks."""
        return max(model.lookback for model in self._bases().values())

    def fit(self, samples: Samples, rng: np.random.Generator) -> FittedStack:
        """Fit the bases on inner folds, the meta model on what they said, the bases on all rows.

        Raises
        ------
        DataError
            When a value is not finite, a column is missing, or rows are too few for the folds.
        """
        samples.check(least=2)
        _require_columns(samples.table, self.features)
        told = self._out_of_fold(samples, rng)
        fitted = {name: model.fit(samples, rng) for name, model in self._bases().items()}
        meta = _model(self.meta, META).fit(told, rng)
        facts = _Facts(samples.table.columns, samples.classes, self.features, len(told.rows))
        return FittedStack(fitted, meta, facts)

    def load(self, files: Files) -> FittedStack:
        """Read every base and the meta model from their own files."""
        bases = {name: one.load(_own(files, name)) for name, one in self._bases().items()}
        meta = _model(self.meta, META).load(_own(files, META))
        return FittedStack(bases, meta, _Facts.read(files[DECLARATION]))

    def _bases(self) -> dict[str, Model]:
        return {name: _model(node, f"base {name}") for name, node in sorted(self.bases.items())}

    def _out_of_fold(self, samples: Samples, rng: np.random.Generator) -> Samples:
        """The tests of the inner folds as samples, whose columns are what the bases said."""
        folds = self.split.folds(samples.time, samples.ends_at)
        check_folds(folds, samples.time, samples.ends_at)
        parts = []
        for fold in folds:
            train, test = samples.take(fold.train), samples.take(fold.test)
            fitted = {name: model.fit(train, rng) for name, model in self._bases().items()}
            parts.append(_said(fitted, test.table, test.rows, samples.classes))
        tested = samples.take(np.concatenate([fold.test for fold in folds]))
        said = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        table = _meta_table(said, tested.table, tested.rows, self.features)
        return replace(tested, table=table, rows=np.arange(len(tested.rows)), outcomes=None)


@dataclass(frozen=True, slots=True)
class FittedStack:
    """Bases that were fitted on all rows, and the meta model above them."""

    bases: Mapping[str, Fitted]
    meta: Fitted
    facts: _Facts

    @property
    def columns(self) -> tuple[str, ...]:
        """Feature columns in the order it was fitted on."""
        return self.facts.columns

    def predict_proba(self, table: FeatureTable, rows: Rows) -> Floats:
        """What the meta model makes of the bases' probabilities."""
        table.check(self.columns)
        said = _said(self.bases, table, rows, self.facts.classes)
        above = _meta_table(said, table, rows, self.facts.features)
        return self.meta.predict_proba(above, np.arange(len(rows)))

    def save(self) -> dict[str, bytes]:
        """The files of every base and of the meta model, their names in front."""
        files = {DECLARATION: self.facts.save()}
        for name, fitted in {**self.bases, META: self.meta}.items():
            files |= {f"{name}.{file}": content for file, content in fitted.save().items()}
        return files

    def report(self) -> Report:
        """On how many out-of-fold rows the meta model learned, and each part's own report."""
        told: Report = {"stack": {"rows": self.facts.rows}}
        for name, fitted in {**self.bases, META: self.meta}.items():
            told |= {f"{name}.{part}": facts for part, facts in fitted.report().items()}
        return told


@dataclass(frozen=True, slots=True)
class _Facts:
    columns: tuple[str, ...]
    classes: tuple[str, ...]
    features: tuple[str, ...]
    rows: int

    @classmethod
    def read(cls, content: bytes) -> _Facts:
        told: dict[str, Any] = json.loads(content)
        lists = ("columns", "classes", "features")
        return cls(**told | {key: tuple(told[key]) for key in lists})

    def save(self) -> bytes:
        told = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps(told, sort_keys=True).encode()


def _model(node: Node, where: str) -> Model:
    found: Any = build(node, where)
    lacking = [name for name in ("lookback", "fit", "load") if not hasattr(found, name)]
    if lacking:
        raise ConfigError(
            f"_target_ '{node[TARGET]}' is no model: it lacks {', '.join(lacking)}",
            where=where,
            fix="name a model of the pipeline",
        )
    model: Model = found
    return model


def _written_back(node: Node, where: str) -> Node:
    model: Any = _model(node, where)
    return {TARGET: node[TARGET], **model.model_dump(mode="json")}


def _own(files: Files, name: str) -> dict[str, bytes]:
    start = f"{name}."
    return {file[len(start) :]: files[file] for file in files if file.startswith(start)}


def _said(
    bases: Mapping[str, Fitted], table: FeatureTable, rows: Rows, classes: tuple[str, ...]
) -> dict[str, Floats]:
    """What each base said of each class but the first, by the name of the meta column."""
    said: dict[str, Floats] = {}
    for name, fitted in bases.items():
        probability = fitted.predict_proba(table, rows)
        said |= {f"{name}_{classes[k]}": probability[:, k] for k in range(1, len(classes))}
    return said


def _meta_table(
    said: Mapping[str, Floats], table: FeatureTable, rows: Rows, features: tuple[str, ...]
) -> FeatureTable:
    own = {f"feature_{name}": table.values[rows, table.columns.index(name)] for name in features}
    columns = {**said, **own}
    return FeatureTable(tuple(columns), np.column_stack(list(columns.values())), table.index[rows])


def _require_columns(table: FeatureTable, features: tuple[str, ...]) -> None:
    missing = [name for name in features if name not in table.columns]
    if missing:
        raise DataError(
            f"the stack's meta model asks for the column {missing[0]}, which the features lack",
            found=nearest(missing[0], table.columns),
            fix="correct model.features, or choose another feature set",
        )
