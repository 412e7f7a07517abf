"""What a study is about: one slot's choices, a space around them, and a name that follows."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.code_digest import code_of
from pipeline.config import Node
from pipeline.configuration.choices import Choices, choose
from pipeline.configuration.compose import Composed, compose_run
from pipeline.configuration.plan import Plan
from pipeline.configuration.planning import plan_run
from pipeline.configuration.settings import over_heads
from pipeline.experiments.scoring import OBJECTIVE
from pipeline.experiments.search_space import Search, Settings
from pipeline.experiments.searched_keys import require_reached, starting_values
from registry.files import sha256

STUDIES = Path("models/tuning")
STAGES = ("features", "labels", "train")
OWN = ("pipeline.experiments.scoring", "pipeline.experiments.study")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tuned: choices at one moment, and what they mean.

    It is composed once: an edit in ``conf/`` changes no trial of a search that is running.
    """

    choices: Choices
    composed: Composed
    plan: Plan
    conf: Path

    @classmethod
    def of(cls, choices: Choices, conf: Path) -> Subject:
        """Compose choices whose `as_of` is a moment."""
        composed = compose_run(choices, conf)
        return cls(choices, composed, plan_run(composed), conf)

    def with_settings(self, settings: Settings) -> Choices:
        """The same choices with deeper keys set, exactly as a user would set them."""
        return choose(self.choices, settings)

    def planned(self, settings: Settings) -> Plan:
        """What a run with these settings would be told.

        Raises
        ------
        ConfigError
            When a value is out of range.
        """
        above = choose(self.choices.model_copy(update={"set": {}}), settings).set
        heads = over_heads(self.composed.heads, above)
        choices = choose(self.composed.choices, settings)
        return plan_run(replace(self.composed, choices=choices, heads=heads))


@dataclass(frozen=True, slots=True)
class Tuning:
    """A subject, the space to search, and how many trials there are to be in all."""

    subject: Subject
    search: Search
    trials: int

    @property
    def family(self) -> str:
        """Digest of everything but the moment: space, objective, configuration, code, libraries."""
        plan = self.subject.plan
        modules = [*OWN, *(f"pipeline.stages.{stage}" for stage in STAGES)]
        modules += [name.rpartition(".")[0] for stage in STAGES for name in plan.targets[stage]]
        code = code_of(modules, plan.plugins)
        return _digest(
            {
                "base": plan.trial,
                "code": code.digest,
                "libraries": code.libraries,
                "objective": OBJECTIVE,
                "search": self.search.to_dict(),
            }
        )

    @property
    def name(self) -> str:
        """Digest of the study; tunings of the same name go on with each other's trials."""
        return _digest({"as_of": self.subject.plan.run.as_of, "family": self.family})

    def folder(self, home: Path) -> Path:
        """Where the slot's studies are kept."""
        return home / STUDIES / str(self.subject.plan.run.slot)

    def file(self, home: Path) -> Path:
        """Where this study is kept."""
        return self.folder(home) / f"{self.name}.db"


def check_tuning(tuning: Tuning) -> Settings:
    """Compose both ends of the space before anything runs; the configuration's own values.

    Raises
    ------
    ConfigError
        When a key is unknown or no model's, or a value is out of range.
    """
    subject, search = tuning.subject, tuning.search
    start = starting_values(search, models_of(subject.plan))
    for settings in search.probes():
        composed = compose_run(subject.with_settings(settings), subject.conf)
        require_reached(settings, models_of(plan_run(composed)), search)
    return start


def models_of(plan: Plan) -> dict[str, Node]:
    """The resolved model of each head of a plan."""
    heads: dict[str, Node] = plan.stages["train"]["heads"]
    return {name: head["model"] for name, head in heads.items()}


def _digest(told: dict[str, Any]) -> str:
    return sha256(json.dumps(told, sort_keys=True).encode())
