"""``skip=[HEAD]``: a head that is kept as the champion has it, byte for byte."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pipeline.commands.retrain_story import _kept
from pipeline.configuration.choices import FILE as PARAMS
from pipeline.configuration.choices import read_choices
from pipeline.configuration.compose import compose_run
from pipeline.configuration.plan import write_plan
from pipeline.configuration.planning import plan_run
from pipeline.errors import ConfigError, DataError
from pipeline.frames import read_frame
from pipeline.models.bundle import FILE
from pipeline.models.kept_head import KeptHead
from pipeline.operations.places import Places
from pipeline.operations.retraining import retrain as retrains
from pipeline.operations.retraining.build_run import BuildReport
from pipeline.operations.retraining.keeping import without_skip
from pipeline.operations.retraining.outcome import Outcome
from pipeline.operations.retraining.retrain import retrain
from pipeline.operations.target import resolve
from pipeline.operations.workspace import Workspace
from pipeline.runner import STAGES, run_stage
from registry.manifest import VerifiedBundle
from tests.conftest import AS_OF, CHECKOUT
from tests.spine import own_conf

Retrain = Callable[..., Outcome]
BEFORE = "2025-12-18T00:00Z"
WORDS = (
    *("recipe=pair", "exchange=simulated", "recipe.history_days=20"),
    *("model.n_estimators=5", "model.min_data_in_leaf=20"),
)
REFUSED = {
    "skip=[leav]": "did you mean leave?",
    "skip=[entry,leave]": "nothing would be trained",
    "skip=[leave] label.horizon_hours=12": "answers another question",
    "skip=[leave] features=scale_free": "another columns",
    "skip=[leave] label=high_vol": "answers another question",
}


def build(workspace: Workspace, *_: object) -> BuildReport:
    """What ``dvc repro`` does, in this process: from the workspace's own params.yaml."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace.folder)
        write_plan(plan_run(compose_run(read_choices(PARAMS), workspace.folder / "conf")))
        for stage in STAGES:
            run_stage(stage)
    return BuildReport(STAGES)


@pytest.fixture
def retrained(home: Path, monkeypatch: pytest.MonkeyPatch) -> Retrain:
    """Retrain the recipe `pair`, whose heads are `entry` and `leave`."""
    conf = own_conf(home)
    (home / ".dvcignore").write_bytes((CHECKOUT / ".dvcignore").read_bytes())
    monkeypatch.setattr(retrains, "reproduce", build)

    def make(*words: str, as_of: str = AS_OF) -> Outcome:
        own, skip = without_skip(words)
        now = pd.Timestamp(as_of)
        target = resolve([*WORDS, f"as_of={as_of}", *own], conf, home, now)
        target = dataclasses.replace(target, skip=skip)
        return retrain(target, Places(home, home), now, lambda _: None)

    return make


def opened(home: Path, outcome: Outcome) -> VerifiedBundle:
    return Places(home, home).registry.open(outcome.target.slot, outcome.version)


def of_head(bundle: VerifiedBundle, head: str) -> dict[str, bytes]:
    return {n: bundle.read(n) for n in bundle.names if n.startswith(f"heads/{head}/")}


def test_a_kept_head_is_the_champions_byte_for_byte(home: Path, retrained: Retrain) -> None:
    first, second = retrained(as_of=BEFORE), retrained("skip=[leave]")
    before, after = opened(home, first), opened(home, second)
    assert first.version != second.version
    assert of_head(before, "leave") == of_head(after, "leave") != {}
    assert of_head(before, "entry") != of_head(after, "entry")
    kept = second.target.choices.skip["leave"]
    assert (kept.version, pd.Timestamp(kept.as_of)) == (first.version, pd.Timestamp(BEFORE))
    told = json.loads(after.read(FILE))["heads"]
    assert told["leave"]["kept"] == kept.model_dump()
    assert "kept" not in told["entry"]
    (note,) = [note for note in after.card()["notes"] if "leave" in note]
    assert note.startswith(f"head leave of {first.version}, sha256 {kept.sha256}")
    assert "".join(_kept(second)).split()[:4] == ["kept", "leave", "of", f"{first.version},"]
    newest = {
        head: read_frame(after.read(f"predictions/{head}.parquet")).index[-1][-1]
        for head in ("entry", "leave")
    }
    assert newest["leave"] < pd.Timestamp(BEFORE) < newest["entry"]
    again = retrained("skip=leave")
    assert (second.created, again.created, again.version) == (True, False, second.version)


def test_what_cannot_be_kept_is_refused(retrained: Retrain) -> None:
    with pytest.raises(ConfigError, match="no champion whose head could be kept"):
        retrained("skip=[leave]")
    retrained()
    for words, said in REFUSED.items():
        with pytest.raises(ConfigError) as caught:
            retrained(*words.split())
        assert said in str(caught.value)
    with pytest.raises(ConfigError, match="made later"):
        retrained("skip=[leave]", as_of=BEFORE)


def test_damaged_files_are_refused(home: Path, retrained: Retrain) -> None:
    first = retrained(as_of=BEFORE)
    head = KeptHead.of(opened(home, first).contents, "leave")
    head.write(home / "kept")
    assert KeptHead.read(home / "kept", head.sha256) == head
    (home / "kept" / head.sha256 / "head.json").write_text("{}")
    for digest in (head.sha256, "0" * 64):
        with pytest.raises(DataError, match="missing or damaged"):
            KeptHead.read(home / "kept", digest)


def test_only_retrain_takes_the_word(home: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key 'skip'"):
        resolve([*WORDS[1:], "skip=[leave]"], CHECKOUT / "conf", home, pd.Timestamp(AS_OF))
