"""docs/how-to/recipe-of-several-heads.md, carried out as far as no process is started."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.build import build
from pipeline.commands import compose as command
from pipeline.commands.backtest import asked_of
from pipeline.configuration.choices import choose
from pipeline.configuration.compose import compose_run, read_root
from pipeline.configuration.conf_groups import parse_words
from pipeline.configuration.plan import Plan
from pipeline.configuration.planning import plan_run
from pipeline.evaluation.trading import ROLES
from tests.conftest import AS_OF, CHECKOUT
from tests.spine import own_conf

PAGE = (CHECKOUT / "docs/how-to/recipe-of-several-heads.md").read_text()
LINES = [
    shlex.split(line.partition("  #")[0])
    for line in re.findall(r"^vintage (.+)$", PAGE, flags=re.MULTILINE)
]


@pytest.fixture
def conf(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A conf/ with the page's recipe."""
    made = own_conf(home)
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    (name,) = re.findall(r"As `conf/recipe/(\w+)\.yaml`", PAGE)
    (made / "recipe" / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(command, "checkout", lambda: home)
    return made


def plan(conf: Path, words: list[str]) -> Plan:
    given = {**parse_words(words), "as_of": AS_OF}
    return plan_run(compose_run(choose(read_root(conf).choices, given), conf))


def test_the_recipe_has_the_heads_that_are_traded(conf: Path) -> None:
    made = plan(conf, ["recipe=swap_5m"])
    heads = made.stages["train"]["heads"]
    assert sorted(heads) == sorted(ROLES)
    assert {name: heads[name]["classes"][-1] for name in heads} == {
        name: ROLES[name][1] for name in ROLES
    }
    of_trades = {name: build(head["features"], name).of_trades for name, head in heads.items()}
    assert {name for name, columns in of_trades.items() if columns} == {"long_exit", "short_exit"}
    assert made.run.timeframe == "5m"


def test_every_line_of_the_page_chooses_what_there_is(conf: Path, home: Path) -> None:
    verbs = [verb for verb, *_ in LINES]
    assert verbs == [
        *("compose", "features", "retrain", "predict", "backtest", "registry"),
        *("retrain", "predict"),
    ]
    for verb, *words in LINES:
        if verb in ("compose", "retrain", "predict", "backtest"):
            there = [word.replace("/path/to/files", str(home)) for word in words]
            assert plan(conf, there).run.recipe == "swap_5m"
    (backtest,) = (words for verb, *words in LINES if verb == "backtest")
    assert asked_of(backtest).words == ("recipe=swap_5m",)


def test_what_starts_nothing_runs(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in LINES if line[0] in ("compose", "features")]
    assert main([*lines[0], f"as_of={AS_OF}"]) == 0
    assert "long_exit" in capsys.readouterr().out
    assert main(lines[1]) == 0
    assert capsys.readouterr().out.startswith("exit44: 44 columns")


@pytest.mark.parametrize(
    "word", re.findall(r"`((?:heads|backtest)\.[a-z_.]+=[\d.]+)`", PAGE), ids=str
)
def test_the_words_of_the_text_reach_something(conf: Path, word: str) -> None:
    usual, changed = plan(conf, ["recipe=swap_5m"]), plan(conf, ["recipe=swap_5m", word])
    assert usual.trial != changed.trial
