"""What a run comes to, and its files below ``build/config/``."""

from __future__ import annotations

from pathlib import Path

from pipeline.code_digest import code_of
from pipeline.config import Node, Record, to_yaml
from pipeline.evaluation.backtest.profile import Profile
from pipeline.market.pool import AnyMarket
from pipeline.runner import LOCAL, TOLD
from registry.conditions import GateConfig
from registry.files import write_atomic
from registry.slots import Slot

RUN = TOLD / "run.yaml"


class RunFacts(Record):
    """What retrain and predict need to know; no stage depends on it."""

    recipe: str
    exchange: str
    market: AnyMarket
    timeframe: str
    as_of: str
    gate: GateConfig
    backtest: Profile
    action_threshold: float
    challenger_share: float = 0.0
    feed: str
    models: dict[str, str]

    @property
    def slot(self) -> Slot:
        """Where versions of this run are kept; the exchange is named where it is foreign."""
        foreign = None if self.exchange == self.market.exchange else self.exchange
        return Slot(self.recipe, self.market.name, foreign)


class Plan(Record):
    """Every stage's configuration, validated, and what runs beside them.

    `trial` is the digest of all that a result follows from, except the moment, the data and the
    code: it is the same however the configuration was reached.
    """

    stages: dict[str, Node]
    targets: dict[str, list[str]]
    plugins: tuple[str, ...]
    local: Node
    run: RunFacts
    trial: str


def write_plan(plan: Plan) -> None:
    """Write ``build/config/``: a file per stage, ``local.yaml`` and ``run.yaml``."""
    for path, content in told_files(plan).items():
        write_atomic(path, content)
    write_atomic(LOCAL, to_yaml(plan.local).encode())
    write_atomic(RUN, to_yaml(plan.run.model_dump(mode="json")).encode())


def told_files(plan: Plan) -> dict[Path, bytes]:
    """What each stage is told, by the path it is told at."""
    files = {}
    for stage, config in plan.stages.items():
        modules = [f"pipeline.stages.{stage}"]
        modules += [target.rpartition(".")[0] for target in plan.targets[stage]]
        code = code_of(modules, plan.plugins)
        told = {
            "code": code.digest,
            "libraries": code.libraries,
            "plugins": list(plan.plugins),
            "config": config,
        }
        files[TOLD / f"{stage}.yaml"] = to_yaml(told).encode()
    return files
