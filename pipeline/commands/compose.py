"""``vintage compose key=value …``: what each stage would be told, without running anything."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.choices import FILE, LAST, choose, read_choices
from pipeline.commands.arguments import checkout, parse, parser, with_words
from pipeline.compose import compose_run, parse_words, read_root
from pipeline.config import home, to_yaml
from pipeline.stage_configs import plan_run

UNRESOLVED = "1970-01-01T00:00Z"


def main(argv: Sequence[str]) -> int:
    """Print the resolved configuration of every stage as YAML."""
    made = parser(
        "compose",
        "Show what each stage would be told. Without words: from params.yaml.",
        ["vintage compose", "vintage compose recipe=demo model=majority"],
    )
    words = parse(with_words(made), argv).words
    conf = checkout() / "conf"
    if words:
        choices = choose(read_root(conf).choices, parse_words(words))
    else:
        choices = read_choices(home() / FILE)
    if choices.as_of == LAST:
        choices = choices.model_copy(update={"as_of": UNRESOLVED})
    plan = plan_run(compose_run(choices, conf))
    print(to_yaml({"run": plan.run.model_dump(mode="json"), **plan.stages}), end="")
    return 0
