"""From words to a plan in one call, a home with a conf of its own, and how errors must look."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from pipeline.config import read_yaml, to_yaml
from pipeline.configuration.choices import Choices, choose
from pipeline.configuration.compose import Composed, compose_run, read_root
from pipeline.configuration.conf_groups import parse_words
from pipeline.configuration.plan import Plan
from pipeline.configuration.planning import plan_run
from pipeline.experiments.audit.check import Result
from pipeline.experiments.audit.plans import digest_of
from pipeline.experiments.audit.results import keep
from pipeline.experiments.audit.run import Audit
from tests.conftest import AS_OF, CHECKOUT

CONF = CHECKOUT / "conf"


def chosen(*words: str, conf: Path = CONF) -> Choices:
    demo = {"recipe": "demo", "as_of": AS_OF}
    return choose(read_root(conf).choices, {**demo, **parse_words(words)})


def composed(*words: str, conf: Path = CONF) -> Composed:
    return compose_run(chosen(*words, conf=conf), conf)


def planned(*words: str, conf: Path = CONF) -> Plan:
    return plan_run(composed(*words, conf=conf))


def keep_audit(home: Path, plan: Plan, passed: bool = True) -> Audit:
    """Keep an audit of what a plan makes, as if `vintage audit` had been run in this home."""
    result = Result(check="noise", passed=passed, number="0 of 4 promoted")
    recipe, models = plan.run.recipe, tuple(dict.fromkeys(plan.run.models.values()))
    told = {"recipe": recipe, "models": models, "digest": digest_of(plan), "full": False}
    made = Audit(results=(result,), **told)
    keep(made, home)
    return made


def own_conf(home: Path) -> Path:
    """A copy of conf/ in a home, with a recipe of two heads, `pair`, beside the others."""
    conf = Path(shutil.copytree(CONF, home / "conf"))
    single = read_yaml(conf / "recipe/upbit_hourly.yaml")
    head = single["heads"]["direction"]
    heads = {"entry": head, "leave": dict(head)}
    pair = to_yaml({**single, "market": "SIM-BTC", "heads": heads})
    (conf / "recipe/pair.yaml").write_text(pair)
    return conf


def put(path: Path, key: str, value: str) -> None:
    """Give a key that stands at the start of a line another value."""
    changed, count = re.subn(rf"(?m)^{key}:.*$", lambda _: f"{key}: {value}", path.read_text())
    assert count == 1, f"{path} holds {key} {count} times"
    path.write_text(changed)


def files_below(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def one_paragraph(capsys: pytest.CaptureFixture[str]) -> str:
    """What was told on stderr: one line of words that a person can act on."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.endswith("\n")
    told = err.removeprefix("error: ").removesuffix("\n")
    assert told.isprintable(), told
    assert "a fault in the code" not in told
    assert len(told) < 2500
    return told
