"""What each retrain of a simulation does: the stages' own functions, without files between them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from pipeline.build import TARGET
from pipeline.code_digest import code_of
from pipeline.config import Node
from pipeline.configuration.plan import Plan
from pipeline.evaluation.chronology import is_chronological
from pipeline.evaluation.fold_thresholds import with_scales
from pipeline.evaluation.metrics import score_head, with_outcomes
from pipeline.evaluation.prediction_paths import mean_over_paths, paths_of
from pipeline.experiments.simulate.history import Cut
from pipeline.fitting.fold_fits import HeadTask
from pipeline.fitting.training import TrainedHead, checked_folds, train_heads
from pipeline.fitting.training_facts import head_facts
from pipeline.frames import encode_frame, key_by_market
from pipeline.labels.learned import LearnedRule
from pipeline.market.candles import duration
from pipeline.market.validation import Validation
from pipeline.models.bundle import pack
from pipeline.runner import Context
from pipeline.stages import download, features, labels, train, validate
from registry.files import sha256

TOLD = "turn.json"
STAGES = ("validate", "features", "labels", "train")
MODULES = tuple(f"pipeline.stages.{stage}" for stage in STAGES)


def predictions_of(head: str) -> str:
    """Name of the file of a head's out-of-fold rows."""
    return f"predictions/{head}.parquet"


@dataclass(frozen=True, slots=True)
class Procedure:
    """The stages' configurations of a slot, without the moment.

    It travels to other processes, so it holds mappings and no objects that were built.
    """

    stages: Mapping[str, Node]
    plugins: tuple[str, ...]
    market: str
    timeframe: str
    code: str

    @classmethod
    def of(cls, plan: Plan) -> Procedure:
        """What a plan's run would do at any moment."""
        targets = [target for stage in STAGES for target in plan.targets[stage]]
        modules = [*MODULES, __name__, *(target.rpartition(".")[0] for target in targets)]
        code = code_of(modules, plan.plugins)
        return cls(
            stages={stage: _lasting(plan.stages[stage]) for stage in ("download", *STAGES)},
            plugins=plan.plugins,
            market=plan.run.market.name,
            timeframe=plan.run.timeframe,
            code=sha256(json.dumps([code.digest, code.libraries], sort_keys=True).encode()),
        )

    @property
    def digest(self) -> str:
        """Digest of everything that a turn's result follows from but its candles."""
        return sha256(json.dumps(asdict(self), sort_keys=True).encode())

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Class names of each head."""
        return {name: head.classes for name, head in sorted(self._train.heads.items())}

    @property
    def lookback(self) -> int:
        """Unbroken candles that end every scored row."""
        return self._train.lookback

    @property
    def sets(self) -> dict[str, str]:
        """Name of each head's feature table."""
        return {name: head.feature_set for name, head in sorted(self._train.heads.items())}

    @property
    def reach(self) -> pd.Timedelta:
        """How far before a candle those lie that its features are computed from."""
        memory: int = self.stages["download"]["memory"]
        return (memory + self.lookback) * duration(self.timeframe)

    def span(self, as_of: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
        """First and last moment of a retrain's candles."""
        told = {**self.stages["download"], "as_of": as_of.isoformat()}
        return download.span(download.Config.parse(told, "download"))

    def features(self, candles: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Every feature table over candles keyed (market, time)."""
        config = features.Config.parse(self.stages["features"], "features")
        return {
            name: features.compute(
                candles,
                self._context.build(node, f"features={name}"),
                config.trades.get(name),
                self.timeframe,
                config.lookback,
            )
            for name, node in sorted(config.sets.items())
        }

    def labels(self, candles: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Every head's label over candles keyed (market, time)."""
        heads = labels.Config.parse(self.stages["labels"], "labels").heads
        return {
            name: labels.compute(
                candles, self._context.build(node, f"label of {name}"), self.timeframe
            )
            for name, node in sorted(heads.items())
        }

    def retrain(self, cut: Cut, as_of: pd.Timestamp) -> dict[str, bytes]:
        """The files that a retrain at `as_of` leaves: bundle, out-of-fold rows, and `TOLD`.

        Raises
        ------
        DataError
            When the candles break a rule, or are too few.
        """
        told = validate.Config.parse({**self.stages["validate"], "as_of": str(as_of)}, "validate")
        rules: Validation = self._context.build(told.validation, "validation")
        checked = rules.sift(cut.candles, self.timeframe, as_of, cut.asked).candles
        candles = key_by_market(checked, self.market)
        tables, labelled = self.features(candles), self.labels(candles)
        tasks = {name: self._task(name, tables, labelled[name]) for name in self.classes}
        trained = train_heads(tasks).heads
        facts = {name: self._facts(name, tasks[name], trained[name]) for name in trained}
        rows = {
            name: with_scales(with_outcomes(head.predictions, labelled[name]), facts[name]["fits"])
            for name, head in trained.items()
        }
        for name, frame in rows.items():
            facts[name]["scores"] = mean_over_paths(
                [score_head(path, self.classes[name], self.timeframe) for path in paths_of(frame)]
            )
        span = {
            "rows": len(checked),
            "first": str(checked.index[0]),
            "last": str(checked.index[-1]),
        }
        summary = {"as_of": as_of.isoformat(), "candles": span, "heads": facts}
        files = self._bundle(trained)
        files |= {predictions_of(name): encode_frame(frame) for name, frame in rows.items()}
        return files | {TOLD: json.dumps(summary, sort_keys=True).encode()}

    @property
    def _train(self) -> train.Config:
        return train.Config.parse(self.stages["train"], "train")

    @property
    def _context(self) -> Context:
        return Context(self.plugins)

    def _task(self, name: str, tables: Mapping[str, pd.DataFrame], own: pd.DataFrame) -> HeadTask:
        config, context = self._train, self._context
        head = config.heads[name]
        samples = train.head_samples(config, context, name, tables[head.feature_set], own)
        folds = checked_folds(samples, context.build(config.split, "split"))
        model = context.build(head.model, f"model of {name}")
        calibration = context.build(config.calibration, "calibration")
        return HeadTask(samples, model, folds, config.seed, calibration)

    def _facts(self, name: str, task: HeadTask, trained: TrainedHead) -> dict[str, Any]:
        model = str(self._train.heads[name].model[TARGET])
        facts = head_facts(task.samples, trained, model, task.model.lookback)
        kept = {key: facts[key] for key in ("fits", "class_shares")}
        kept |= {key: facts[key] for key in ("certification",) if key in facts}
        return kept | {
            "chronological": is_chronological(facts["fits"]),
            "rule": _rule(trained.rules[-1]),
        }

    def _bundle(self, trained: Mapping[str, TrainedHead]) -> dict[str, bytes]:
        heads = self._train.heads
        declared = {name: train.declaration_of(heads[name], head) for name, head in trained.items()}
        fitted = {name: head.fitted for name, head in trained.items()}
        return pack(self.timeframe, declared, fitted)


def _lasting(config: Node) -> Node:
    return {key: value for key, value in config.items() if key != "as_of"}


def _rule(rule: LearnedRule | None) -> Node | None:
    """What a label learned, so that it can be built again."""
    if rule is None:
        return None
    return {TARGET: f"{type(rule).__module__}.{type(rule).__qualname__}", **rule.model_dump()}
