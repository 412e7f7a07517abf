"""``vintage registry``: the registry's own commands, and ``compare``, which reads predictions."""

from __future__ import annotations

import importlib
import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError, nearest
from registry.__main__ import default_root, verbs
from registry.__main__ import main as registry_main
from registry.files import refused
from registry.history import Mode, Pointer
from registry.pointers import champion
from registry.slots import CHAMPION, Slot
from registry.tables import table
from registry.verbs.telling import ME, reason
from registry.versions import Registry

if TYPE_CHECKING:
    from pipeline.evaluation.comparison import Difference
    from pipeline.operations.versions.comparing import Compared

COMPARE, POSITIONS = "compare", ("positions=", "positions.")
TOLD = (
    "difference: log loss of {version} less that of {against}, in nats a row; below 0 is better. "
    "low, high: its 90 % interval. same_loss: p of equal log loss (Diebold-Mariano). same_hits: p "
    "of being right equally often (McNemar)."
)
FEW = " same_loss is - where the common rows are fewer than {horizons} label horizons."
SCORED = (
    " log_loss, brier_skill: of each on the common rows, the skill of both over the class shares "
    "that {against} was trained on."
)


def main(argv: Sequence[str]) -> int:
    """Run one command of the registry."""
    if argv and argv[0] == COMPARE:
        return _compare(argv[1:])
    known = (COMPARE, *verbs())
    if argv and not argv[0].startswith("-") and argv[0] not in known:
        raise ConfigError(f"unknown verb '{argv[0]}'", where=ME, fix=nearest(argv[0], known))
    own = [word for word in argv if word.startswith(POSITIONS) and "=" in word]
    if own and "--when-flat" not in argv:
        raise refused("positions are asked for with promote --when-flat alone", found=own[0])
    rest = [word for word in argv if word not in own]
    return registry_main(rest, check=_require_loadable, when_flat=partial(_when_flat, own))


def _when_flat(words: list[str], registry: Registry, told: Namespace, mode: Mode) -> Pointer:
    """Promote once the market is flat; the version stays pending where it never was."""
    from pipeline.commands.arguments import checkout
    from pipeline.commands.console import progress
    from pipeline.market.exchanges.machine import Machine
    from pipeline.operations.retraining.waiting import Wanted
    from pipeline.operations.versions.promoting import Terms, promote_when_flat

    before = champion(registry.root, told.slot)
    wanted = Wanted(
        slot=told.slot,
        version=told.version,
        mode=mode,
        reason=reason(told),
        who=told.who,
        generation=before.generation if before else 0,
    )
    with progress("promote") as show:
        terms = Terms(tuple(words), told.wait, checkout() / "conf", Machine(tell=show))
        return promote_when_flat(registry, wanted, terms, told.at)


def _require_loadable(registry: Registry, slot: Slot, version: str) -> None:
    """Promote only what this machine can load; the first load happens in a child."""
    first_load = importlib.import_module("pipeline.live.first_load")
    first_load.require_loadable(registry, slot, registry.open(slot, version), _plugins)


def _plugins() -> tuple[str, ...]:
    from pipeline.commands.arguments import checkout
    from pipeline.configuration.compose import read_root

    return read_root(checkout() / "conf").plugins


def _compare(argv: Sequence[str]) -> int:
    from pipeline.commands.arguments import parse, parser

    made = parser(
        "registry compare",
        "Hold a version against another on rows that neither was fitted on.",
        [
            "vintage registry compare demo/SIM-BTC v0002 champion",
            "vintage registry compare upbit_pooled/KRW-ALL champion --against-slot "
            "upbit_hourly/KRW-SOL",
            "vintage registry compare demo/SIM-BTC --live --since 2025-12-01T00:00Z",
        ],
    )
    made.add_argument("slot", metavar="SLOT")
    made.add_argument(
        "version", metavar="VERSION", nargs="?", help="with --live the challenger, if not given"
    )
    made.add_argument("against", metavar="AGAINST", nargs="?", default=CHAMPION)
    made.add_argument(
        "--against-slot", metavar="SLOT", help="the slot of AGAINST; default: the same"
    )
    made.add_argument(
        "--live", action="store_true", help="by the signal log: what both said in service"
    )
    made.add_argument("--since", metavar="MOMENT", help="with --live: candles from then on")
    made.add_argument("--root", type=Path, help="default: models/registry of the checkout")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parse(made, argv)
    if asked.live and asked.against_slot:
        made.error("--live holds versions of one slot against each other: leave --against-slot out")
    if asked.live:
        lived = importlib.import_module("pipeline.commands.live_comparison")
        return int(lived.tell_live(asked, Registry(asked.root or default_root())))
    if asked.version is None or asked.since:
        made.error("--since is for --live" if asked.version else "which VERSION is to be compared?")
    return _told(asked)


def _told(asked: Namespace) -> int:
    comparing = importlib.import_module("pipeline.operations.versions.comparing")
    stores = importlib.import_module("pipeline.market.store")
    registry, slot = Registry(asked.root or default_root()), Slot.parse(asked.slot)
    other = Slot.parse(asked.against_slot) if asked.against_slot else slot
    store = stores.CandleStore(registry.root.parent.parent / "data" / "store")
    ours, theirs = comparing.Named(slot, asked.version), comparing.Named(other, asked.against)
    compared = comparing.compare_versions(registry, ours, theirs, store)
    print(json.dumps(_facts(slot, compared)) if asked.json else _table(compared))
    return 0


def _facts(slot: Slot, compared: Compared) -> dict[str, Any]:
    words = {"verdict": compared.together.word, "money_verdict": compared.money.word}
    return {"slot": str(slot), **asdict(compared), "money": compared.money.model_dump(), **words}


def _table(compared: Compared) -> str:
    from pipeline.commands.console import told

    money = told("money", compared.money.sentence(compared.version, compared.against))
    if not compared.together.comparable:
        by = " by log loss" if compared.money.comparable else ""
        why_not = compared.together.why_not.rstrip(".")
        said = f"{compared.version} and {compared.against} cannot be compared{by}: {why_not}."
        return f"{said}\n\n{money}" if by else said
    parts = compared.heads if len(compared.heads) > 1 else {}
    rows = [_row("all" if parts else next(iter(compared.heads)), compared.together)]
    rows += [_row(head, found) for head, found in parts.items()]
    names = {"version": compared.version, "against": compared.against}
    word = compared.together.word
    said = f"{compared.version} is {word} than {compared.against} by log loss."
    if word == "undecidable":
        both = f"{compared.version} and {compared.against}"
        said = f"Which of {both} is better by log loss is undecidable."
    tables = [table(rows), *([table(_scored(compared))] if compared.scored else [])]
    legend = _legend(compared, [row["same_loss"] for row in rows])
    return "\n\n".join([said, *tables, told("columns", legend.format(**names)), money])


def _legend(compared: Compared, same_loss: Sequence[float | None]) -> str:
    """What the columns that are shown mean."""
    from pipeline.evaluation.comparison import FEWEST_HORIZONS

    few = FEW.replace("{horizons}", str(FEWEST_HORIZONS)) if None in same_loss else ""
    return f"{TOLD}{few}{SCORED if compared.scored else ''}"


def _scored(compared: Compared) -> list[dict[str, Any]]:
    return [
        {"head": head, "version": name, "log_loss": one.log_loss, "brier_skill": one.brier_skill}
        for head, both in compared.scored.items()
        for name, one in zip((compared.version, compared.against), both, strict=True)
    ]


def _row(head: str, found: Difference) -> dict[str, Any]:
    return {
        "head": head,
        "common_rows": found.common_rows,
        "difference": found.log_loss_difference,
        "low": found.low,
        "high": found.high,
        "same_loss": found.diebold_mariano_p,
        "same_hits": found.mcnemar_p,
        "verdict": found.word,
    }
