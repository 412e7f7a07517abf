"""``vintage compose key=value …``: what each stage would be told, without running anything."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pipeline.commands.arguments import checkout, parse, parser, with_words
from pipeline.commands.console import progress
from pipeline.config import home, to_yaml
from pipeline.configuration.choices import FILE, read_choices
from pipeline.configuration.compose import compose_run
from pipeline.configuration.plan import Plan
from pipeline.configuration.planning import plan_run
from pipeline.operations.target import resolve


def main(argv: Sequence[str]) -> int:
    """Print the resolved configuration of every stage as YAML."""
    made = parser(
        "compose",
        "Show what each stage would be told. Without words: from params.yaml.",
        ["vintage compose", "vintage compose recipe=demo model=majority"],
    )
    words = parse(with_words(made), argv).words
    with progress("compose"):
        plan = _plan(words)
    print(to_yaml({"run": plan.run.model_dump(mode="json"), **plan.stages}), end="")
    return 0


def _plan(words: Sequence[str]) -> Plan:
    conf = checkout() / "conf"
    if words:
        return resolve(words, conf, home(), pd.Timestamp.now(tz="UTC")).plan
    return plan_run(compose_run(read_choices(home() / FILE), conf), str(FILE))
