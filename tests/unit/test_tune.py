"""Trials, their scores, their ledger, and what is left after a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.code_digest import Code
from pipeline.configuration.compose import compose_run
from pipeline.configuration.planning import plan_run
from pipeline.errors import DataError, RetryLater
from pipeline.evaluation.metrics import score_head
from pipeline.experiments import study as studies
from pipeline.experiments import subject as subjects
from pipeline.experiments import tune as module
from pipeline.experiments.blocks import BLOCKS
from pipeline.experiments.scoring import head_rows, running_losses
from pipeline.experiments.study import COMPLETE, FAILED, PRUNED
from pipeline.experiments.tune import Tuned, tune, unfinished
from pipeline.fitting.training import labelled_samples, train_head
from pipeline.models.logistic import Logistic
from pipeline.models.majority import Majority
from pipeline.splits.walk_forward import WalkForward
from registry.trials import trials as ledger
from tests.conftest import CHECKOUT, child_env
from tests.tuning import PENALTY, SLOT, conf, noise, search_file, shared_conf, tuned, tuning, whole

__all__ = ["conf", "shared_conf", "whole"]

Patch = pytest.MonkeyPatch


def digests(home: Path) -> list[str]:
    return [trial.digest for trial in ledger(home / module.REGISTRY, SLOT)]


def test_the_score_is_the_log_loss_that_evaluation_gives(whole: Tuned) -> None:
    found = whole
    data, split = noise(), WalkForward(fold_count=3, test_share=0.15)
    labels = data.labels["direction"]
    assert found.base.settings == {"model.penalty": 1.0}
    assert found.base.digest == found.tuning.subject.plan.trial
    for trial in found.trials[:2]:
        model = Logistic(penalty=trial.settings["model.penalty"], max_iter=100)
        rows = labelled_samples(data.features["hourly46"], labels, ("sell", "hold", "buy"))
        predictions = train_head(rows, model, split, seed=7).predictions
        scores = score_head(predictions.join(labels, how="inner"), rows.classes, "1h")
        assert trial.log_loss == pytest.approx(scores["log_loss"], abs=1e-12)
        assert found.scored.rows == {"direction": scores["rows"]}
        assert found.scored.independent == {"direction": scores["effective_rows"]}
    assert found.scored.folds == 3


def test_the_losses_of_all_blocks_make_the_score(whole: Tuned) -> None:
    rows = sum(whole.scored.block_rows["direction"])
    assert rows == whole.scored.rows["direction"]
    for trial in whole.trials:
        assert bool(trial.block_losses) == (trial.state == COMPLETE)
        if trial.state == COMPLETE:
            losses = trial.block_losses["direction"]
            assert len(losses) == BLOCKS
            assert sum(losses) / rows == pytest.approx(trial.log_loss, abs=1e-12)


def test_what_knows_nothing_is_scored_on_the_same_rows(whole: Tuned) -> None:
    data, split = noise(), WalkForward(fold_count=3, test_share=0.15)
    labels = data.labels["direction"]
    rows = labelled_samples(data.features["hourly46"], labels, ("sell", "hold", "buy"))
    predictions = train_head(rows, Majority(), split, seed=7).predictions
    scores = score_head(predictions.join(labels, how="inner"), rows.classes, "1h")
    assert whole.scored.class_shares == pytest.approx(scores["log_loss"], abs=1e-12)


def test_a_trial_is_told_what_a_user_would_tell(conf: Path) -> None:
    space = {"model.penalty": {"low": 1.0, "high": 9.0}}
    search_file(conf, space)
    subject = tuning(conf, 1, "recipe=pair", "heads.leave.model.max_iter=50").subject
    for settings in ({}, {"model.penalty": 3.0}, {"heads.leave.model.max_iter": 60}):
        composed = compose_run(subject.with_settings(settings), conf)
        assert subject.planned(settings) == plan_run(composed)


def test_a_configuration_outside_the_space_is_scored_too(home: Path, conf: Path) -> None:
    search_file(conf, {"model.penalty": {"low": 10.0, "high": 100.0}})
    found = tuned(tuning(conf, 6), home)
    assert found.base.settings == {"model.penalty": 1.0}
    assert found.base.digest == found.tuning.subject.plan.trial
    assert found.base.log_loss is not None
    assert all(10 <= trial.settings["model.penalty"] <= 100 for trial in found.trials[1:])


def test_choices_and_whole_numbers_arrive_as_they_are(home: Path, conf: Path) -> None:
    space = {"model.max_iter": {"choices": [50, 100]}, "model.penalty": {"low": 1, "high": 3}}
    search_file(conf, space)
    found = tuned(tuning(conf, 6), home)
    assert {trial.settings["model.max_iter"] for trial in found.trials} == {50, 100}
    drawn = [trial.settings["model.penalty"] for trial in found.trials[1:]]
    assert all(type(value) is int for value in drawn)


def test_two_fresh_studies_are_equal_and_a_finished_one_is_only_looked_up(
    home: Path, conf: Path, whole: Tuned
) -> None:
    what = tuning(conf, 7)
    one = tuned(what, home)
    assert one.trials == whole.trials
    assert [trial.number for trial in one.trials] == list(range(7))
    losses = [trial.log_loss for trial in one.ranked]
    assert losses == sorted(losses)
    before = digests(home)

    def never() -> Any:
        raise AssertionError

    again = tune(what, never, home, lambda _: None)
    assert (again.trials, again.scored) == (one.trials, one.scored)
    assert (one.known_before, again.known_before) == (0, 7)
    assert digests(home) == before


def test_more_trials_go_on_where_fewer_ended(home: Path, conf: Path, whole: Tuned) -> None:
    tuned(tuning(conf, 3), home)
    more = tuned(tuning(conf, 5), home)
    assert more.trials == whole.trials[:5]
    assert more.known_before == 3


CHILD = """
import sys
from pathlib import Path
from pipeline.experiments import tune as module
from tests.tuning import tuned, tuning

real, begun = module.running_losses, []

def stuck(plan, rows):
    begun.append(plan)
    for fold, loss in enumerate(real(plan, rows)):
        if len(begun) == int(sys.argv[3]) and fold == 1:
            print("stuck", flush=True)
            sys.stdin.read()
        yield loss

module.running_losses = stuck
tuned(tuning(Path(sys.argv[1]), 5), Path(sys.argv[2]))
"""


def killed(conf: Path, home: Path, number: int) -> None:
    """Tune in a child process and kill it inside its trial `number`, counted from 1."""
    words = [sys.executable, "-c", CHILD, str(conf), str(home), str(number)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    environment = child_env(home, PYTHONPATH=str(CHECKOUT), VINTAGE_HOME=str(home))
    with subprocess.Popen(words, cwd=CHECKOUT, env=environment, **pipes) as child:
        assert child.stdout.readline() == b"stuck\n"
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL


def test_a_killed_study_goes_on_as_if_nothing_had_happened(
    home: Path, conf: Path, whole: Tuned
) -> None:
    what = tuning(conf, 5)
    killed(conf, home, 3)
    assert digests(home) == [trial.digest for trial in whole.trials[:3]]
    assert unfinished(what, home) == what.subject.plan.run.as_of
    found = tuned(what, home)
    assert found.known_before == 2
    assert found.trials == whole.trials[:5]
    assert digests(home) == [trial.digest for trial in whole.trials[:5]]
    assert unfinished(what, home) is None
    with studies.opened(what.file(home), what.name) as study:
        assert [t.number for t in study.trials if t.state.name == "FAIL"] == [2]


def test_a_study_is_usable_wherever_it_was_interrupted(
    home: Path, conf: Path, whole: Tuned, monkeypatch: Patch
) -> None:
    real, what, begun = module.running_losses, tuning(conf, 5), iter((True, False, False, True))

    def interrupted(plan: Any, rows: Any) -> Iterator[float]:
        for fold, loss in enumerate(real(plan, rows)):
            if fold == 1 and next(begun, False):
                raise KeyboardInterrupt
            yield loss

    monkeypatch.setattr(module, "running_losses", interrupted)
    for before in (0, 2):
        with pytest.raises(KeyboardInterrupt):
            tuned(what, home)
        assert unfinished(what, home) == what.subject.plan.run.as_of
        assert len(digests(home)) == before + 1
    assert tuned(what, home).trials == whole.trials[:5]


def test_a_study_has_one_tuner(home: Path, conf: Path) -> None:
    what = tuning(conf, 2)
    with (
        studies.opened(what.file(home), what.name),
        pytest.raises(RetryLater, match="another process"),
    ):
        tuned(what, home)
    assert len(tuned(what, home).trials) == 2


def test_what_is_no_study_is_told(home: Path, conf: Path) -> None:
    what = tuning(conf, 2)
    file = what.file(home)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not a database " * 100)
    with pytest.raises(RetryLater, match=r"cannot be read or written.*moved away"):
        tuned(what, home)


def test_revised_candles_are_no_part_of_the_same_study(home: Path, conf: Path) -> None:
    tuned(tuning(conf, 2), home)
    with pytest.raises(DataError, match=r"began on other candles.*move that file away"):
        tuned(tuning(conf, 3), home, noise(seed=1))
    assert len(tuned(tuning(conf, 3), home).trials) == 3


def counted(monkeypatch: Patch, seen: list[int]) -> None:
    real = module.running_losses

    def counting(plan: Any, rows: Any) -> Iterator[float]:
        seen.append(0)
        for loss in real(plan, rows):
            seen[-1] += 1
            yield loss

    monkeypatch.setattr(module, "running_losses", counting)


def test_a_trial_behind_the_median_is_cut_short(home: Path, conf: Path, monkeypatch: Patch) -> None:
    folds: list[int] = []
    counted(monkeypatch, folds)
    found = tuned(tuning(conf, 8), home)
    states = [trial.state for trial in found.trials]
    assert PRUNED in states
    assert states[:3] == [COMPLETE] * 3
    for trial, count in zip(found.trials, folds, strict=True):
        assert (count < 3) == (trial.state == PRUNED)
        assert (trial.log_loss is None) == (trial.state == PRUNED)
    assert found.count(COMPLETE) + found.count(PRUNED) == 8 == len(set(digests(home)))
    assert len(found.ranked) == found.count(COMPLETE)


def test_a_trial_stands_in_the_ledger_before_its_fit(
    home: Path, conf: Path, monkeypatch: Patch
) -> None:
    real = module.running_losses
    before: list[bool] = []

    def looking(plan: Any, rows: Any) -> Iterator[float]:
        before.append(plan.trial == digests(home)[-1])
        yield from real(plan, rows)

    monkeypatch.setattr(module, "running_losses", looking)
    found = tuned(tuning(conf, 3), home)
    assert before == [True] * 3
    lines = ledger(home / module.REGISTRY, SLOT)
    assert [line.digest for line in lines] == [trial.digest for trial in found.trials]
    assert {line.source for line in lines} == {"tune"}
    assert {line.model for line in lines} == {"logistic"}
    assert lines[2].choices["set"]["model"]["penalty"] == found.trials[2].settings["model.penalty"]


def failing(monkeypatch: Patch, above: float) -> None:
    real = module.running_losses

    def broken(plan: Any, rows: Any) -> Iterator[float]:
        if plan.stages["train"]["heads"]["direction"]["model"]["penalty"] > above:
            raise DataError("too few rows for this", fix="give more history")
        yield from real(plan, rows)

    monkeypatch.setattr(module, "running_losses", broken)


def test_a_failed_trial_says_why_and_counts(home: Path, conf: Path, monkeypatch: Patch) -> None:
    failing(monkeypatch, above=10)
    found = tuned(tuning(conf, 6), home)
    failed = [trial for trial in found.trials if trial.state == FAILED]
    assert failed
    assert all(trial.settings["model.penalty"] > 10 for trial in failed)
    assert {trial.reason for trial in failed} == {
        "too few rows for this. To do: give more history."
    }
    assert len(found.trials) == 6 == len(set(digests(home)))
    assert found.ranked[0].settings["model.penalty"] <= 10


def test_nothing_but_failures_is_an_error_once_and_again(
    home: Path, conf: Path, monkeypatch: Patch
) -> None:
    failing(monkeypatch, above=0)
    for _ in range(2):
        with pytest.raises(DataError, match=r"every one of 3 trials failed.*too few rows for this"):
            tuned(tuning(conf, 3), home)
    assert len(digests(home)) == 3


def test_too_few_rows_are_told_before_any_trial(home: Path, conf: Path) -> None:
    data = noise()
    short = type(data)(data.features, {"direction": data.labels["direction"].iloc[:60]})
    with pytest.raises(DataError, match="too few rows"):
        tuned(tuning(conf, 3), home, short)
    assert digests(home) == []


def test_every_head_has_its_part_in_the_score(home: Path, conf: Path) -> None:
    ends = {"low": 1.0, "high": 9.0}
    search_file(conf, {f"heads.{head}.model.penalty": ends for head in ("entry", "leave")})
    found = tuned(tuning(conf, 2, "recipe=pair"), home, noise(heads=("entry", "leave")))
    for trial in found.trials:
        single = [alone(conf, penalty) for penalty in trial.settings.values()]
        assert trial.log_loss == pytest.approx(sum(single) / 2, abs=1e-12)
    assert len(set(found.trials[1].settings.values())) == 2
    assert set(found.scored.rows) == {"entry", "leave"}


def alone(conf: Path, penalty: float) -> float:
    search_file(conf, PENALTY)
    plan = tuning(conf, 1, f"model.penalty={penalty}").subject.plan
    return list(running_losses(plan, head_rows(plan, noise())))[-1].loss


def test_a_mark_of_a_study_that_is_gone_is_no_study(home: Path, conf: Path) -> None:
    what = tuning(conf, 2)
    assert unfinished(what, home) is None
    place = what.folder(home) / f"{what.family}.unfinished.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"as_of": "2025-12-01T00:00:00+00:00", "file": "gone.db"}))
    assert unfinished(what, home) is None


TWO_KEYS = {"model.max_iter": {"choices": [100, 50, 75]}, "model.penalty": {"low": 0.01, "high": 9}}


def stored(what: Any, home: Path) -> list[dict[str, Any]]:
    with studies.opened(what.file(home), what.name) as study:
        return [trial.params for trial in study.trials if trial.state.name != "FAIL"]


def test_a_kill_between_two_draws_changes_no_draw(
    home: Path, conf: Path, tmp_path: Path, monkeypatch: Patch
) -> None:
    search_file(conf, TWO_KEYS)
    what, other = tuning(conf, 4), tmp_path / "other"
    other.mkdir()
    undisturbed = tuned(what, other)
    real, left = studies._suggest, {2, 8}
    calls = iter(range(1, 100))

    def killed_there(*told: Any) -> None:
        if next(calls) in left:
            raise KeyboardInterrupt
        real(*told)

    with monkeypatch.context() as patch:
        patch.setattr(studies, "_suggest", killed_there)
        for _ in left:
            with pytest.raises(KeyboardInterrupt):
                tuned(what, home)
        found = tuned(what, home)
    assert next(calls) == 13, "two draws of the base and two of a later trial came again"
    assert found.trials == undisturbed.trials
    assert stored(what, home) == stored(what, other)
    assert stored(what, home)[0] == {"model.max_iter": 100, "model.penalty": 1.0}


def test_a_study_is_named_after_libraries_scoring_and_the_order_of_its_keys(
    conf: Path, monkeypatch: Patch
) -> None:
    search_file(conf, TWO_KEYS)
    what = tuning(conf, 1)
    order = dict(reversed(what.search.space.items()))
    assert replace(what, search=replace(what.search, space=order)).name != what.name
    seen: list[str] = []
    versions: dict[str, str] = {}

    def code_of(modules: Any, _: Any) -> Code:
        seen.extend(modules)
        return Code("same", dict(versions))

    monkeypatch.setattr(subjects, "code_of", code_of)
    names = set()
    for version in ("1", "2"):
        versions["lightgbm"] = version
        names.add(what.name)
    assert len(names) == 2
    assert {"pipeline.experiments.scoring", "pipeline.experiments.study"} <= set(seen)


def test_a_moment_that_cannot_be_read_is_no_unfinished_study(home: Path, conf: Path) -> None:
    what = tuning(conf, 2)

    def unreadable() -> Any:
        raise DataError("no candles there")

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(DataError, match="no candles"):
        tune(what, unreadable, home, lambda _: None)
    assert unfinished(what, home) is None
    with pytest.raises(KeyboardInterrupt):
        tune(what, noise, home, interrupt)
    assert unfinished(what, home) is not None
    with pytest.raises(DataError, match="no candles"):
        tune(what, unreadable, home, lambda _: None)
    assert unfinished(what, home) is None


def lightgbm_error() -> Exception:
    from lightgbm.basic import LightGBMError

    return LightGBMError("no further\nsplits")


LIBRARY = [lambda: ValueError("bad value"), lambda: ZeroDivisionError("by 0"), lightgbm_error]


@pytest.mark.parametrize("made", LIBRARY)
def test_what_a_library_raises_fails_the_trial_and_nothing_else(
    home: Path, conf: Path, monkeypatch: Patch, made: Any
) -> None:
    real = module.running_losses

    def broken(plan: Any, rows: Any) -> Iterator[float]:
        if plan.stages["train"]["heads"]["direction"]["model"]["penalty"] != 1.0:
            raise made()
        yield from real(plan, rows)

    monkeypatch.setattr(module, "running_losses", broken)
    found = tuned(tuning(conf, 2), home)
    assert [trial.state for trial in found.trials] == [COMPLETE, FAILED]
    words = " ".join(str(made()).split())
    assert found.trials[1].reason == f"{type(made()).__name__}: {words}"


def test_no_trial_runs_on_behind_an_unknown_error(
    home: Path, conf: Path, whole: Tuned, monkeypatch: Patch
) -> None:
    class Strange(Exception):
        pass

    def broken(*_: Any) -> Iterator[float]:
        raise Strange

    what, states = tuning(conf, 2), []
    real = studies.end

    def looking(study: Any, *told: Any) -> None:
        real(study, *told)
        states.append(study.trials[-1].state.name)

    monkeypatch.setattr(studies, "end", looking)
    with monkeypatch.context() as patch:
        patch.setattr(module, "running_losses", broken)
        with pytest.raises(Strange):
            tuned(what, home)
    assert states == ["FAIL"]
    assert tuned(what, home).trials == whole.trials[:2]


def test_only_what_was_new_to_the_ledger_is_counted(home: Path, conf: Path) -> None:
    search_file(conf, {"model.max_iter": {"choices": [100]}})
    found = tuned(tuning(conf, 3), home)
    assert (len(found.trials), found.counted, found.ledger) == (3, 1, 1)
    search_file(conf, {"model.max_iter": {"choices": [50]}})
    found = tuned(tuning(conf, 3), home)
    assert (found.counted, found.ledger) == (1, 2)
