"""An audit is kept by what it was of; a gate and the versions are told of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.__main__ import main
from pipeline.code_digest import code_of
from pipeline.commands import audit as command
from pipeline.configuration.plan import Plan
from pipeline.experiments.audit.check import CHECKS, Result
from pipeline.experiments.audit.markets import NOISE, draw, shuffled_blocks
from pipeline.experiments.audit.plans import (
    STAGES,
    digest_of,
    digest_of_card,
    market_plans,
    own_plan,
)
from pipeline.experiments.audit.power import Volume, judge_markets
from pipeline.experiments.audit.results import (
    audited,
    keep,
    kept,
    misses_audit,
    with_audit,
)
from pipeline.experiments.audit.run import Audit
from pipeline.experiments.audit.trials import Judge
from pipeline.market.candles import REQUIRED
from pipeline.market.store import CandleStore, Series
from pipeline.operations import auditing
from pipeline.operations.versions.audit_notes import audit_of, note_versions
from registry.evidence import ChampionEvidence, Evidence
from registry.gate import Verdict
from registry.slots import Slot
from registry.versions import Registry
from tests.conftest import CHECKOUT
from tests.spine import CONF, chosen

AT, SLOT = "2026-01-01T00:00:00+00:00", Slot("demo", "SIM-BTC")
EVIDENCE = Evidence(
    finite=True,
    effective_rows=80,
    brier_skill=0.1,
    brier_skill_low=0.05,
    direction_skill=0.1,
    direction_skill_low=0.05,
    balanced_accuracy=0.4,
    classes=3,
)
TRADING = EVIDENCE.model_copy(
    update={"champion": ChampionEvidence(version="v0001", mode="trade", comparable=False)}
)


def an_audit(passed: bool = True, full: bool = False, digest: str = "d1") -> Audit:
    result = Result(check="noise", passed=passed, number="0 of 4 promoted")
    return Audit(recipe="demo", models=("m",), digest=digest, full=full, results=(result,))


def verdict(outcome: str) -> Verdict:
    told: dict[str, object] = {"outcome": outcome, "sentence": f"{outcome} it.", "conditions": ()}
    told |= {"kind": "first", "drawn": True, "portions_left": 11}
    return Verdict.model_validate(told)


def test_an_audit_is_found_by_its_recipe_and_digest_alone(tmp_path: Path) -> None:
    path = keep(an_audit(), tmp_path)
    assert path == tmp_path / "reports/audits/demo-d1.json"
    assert kept(tmp_path, tmp_path, "demo", "d1") == an_audit()
    assert kept(tmp_path, tmp_path, "demo", "d2") is None
    assert kept(tmp_path, tmp_path, "other", "d1") is None
    path.write_text("{")
    assert kept(tmp_path, tmp_path, "demo", "d1") is None


def test_a_shipped_audit_counts_while_its_digest_is_that_of_the_code(tmp_path: Path) -> None:
    shipped = tmp_path / "checkout/docs/audits/demo.json"
    shipped.parent.mkdir(parents=True)
    shipped.write_text(an_audit(full=True).model_dump_json())
    assert kept(tmp_path, tmp_path / "checkout", "demo", "d1") == an_audit(full=True)
    assert kept(tmp_path, tmp_path / "checkout", "demo", "d2") is None
    keep(an_audit(passed=False), tmp_path)
    found = kept(tmp_path, tmp_path / "checkout", "demo", "d1")
    assert found is not None
    assert not found.passed


def test_the_shipped_audits_are_of_todays_code() -> None:
    shipped = sorted((CHECKOUT / "docs/audits").glob("*.json"))
    told = {path.stem: Audit.model_validate_json(path.read_bytes()).digest for path in shipped}
    today = {name: digest_of(own_plan(chosen(f"recipe={name}"), CONF)) for name in told}
    assert "demo" in told
    assert told == today, "the code changed since: make audit"


def test_a_short_audit_replaces_a_full_one_only_by_failing(tmp_path: Path) -> None:
    keep(an_audit(full=True), tmp_path)
    keep(an_audit(), tmp_path)
    assert kept(tmp_path, tmp_path, "demo", "d1") == an_audit(full=True)
    keep(an_audit(passed=False), tmp_path)
    assert kept(tmp_path, tmp_path, "demo", "d1") == an_audit(passed=False)


@pytest.mark.parametrize(
    ("outcome", "audit", "evidence", "becomes"),
    [
        ("promote", an_audit(), EVIDENCE, "promote"),
        ("observe", an_audit(), EVIDENCE, "observe"),
        ("refuse", an_audit(), EVIDENCE, "refuse"),
        ("promote", an_audit(passed=False), EVIDENCE, "refuse"),
        ("observe", an_audit(passed=False), EVIDENCE, "refuse"),
        ("promote", None, EVIDENCE, "observe"),
        ("promote", None, TRADING, "refuse"),
        ("observe", None, EVIDENCE, "observe"),
        ("refuse", None, EVIDENCE, "refuse"),
    ],
)
def test_the_gate_reads_the_audit(
    outcome: str, audit: Audit | None, evidence: Evidence, becomes: str
) -> None:
    condition = audited(audit, "recipe=demo model=xgboost")
    made = with_audit(verdict(outcome), evidence, condition)
    assert made.outcome == becomes
    assert made.conditions[-1] == condition
    assert misses_audit(made) == (audit is None)
    if audit is None:
        assert "(vintage audit recipe=demo model=xgboost)" in made.sentence
    if audit is None or not audit.passed:
        assert "no portion of the slot's yearly error is spent on it" in made.sentence
        assert (made.drawn, made.portions_left) == (False, 12)
    else:
        assert (made.drawn, made.portions_left, made.sentence) == (True, 11, f"{outcome} it.")


def test_a_digest_follows_from_code_and_choices_and_from_no_market_or_moment() -> None:
    own = digest_of(own_plan(chosen(), CONF))
    assert own == digest_of(own_plan(chosen("market=SIM-ETH", "as_of=2024-01-01T00:00Z"), CONF))
    others = ("model=logistic", "label.horizon_hours=12", "gate.min_effective_rows=31", "seed=8")
    digests = {digest_of(own_plan(chosen(word), CONF)) for word in others}
    assert len(digests | {own}) == 5


def card_of(*words: str) -> dict[str, object]:
    plan = own_plan(chosen(*words), CONF)
    code = {
        stage: code_of(
            [f"pipeline.stages.{stage}", *(t.rpartition(".")[0] for t in plan.targets[stage])],
            plan.plugins,
        ).digest
        for stage in STAGES
    }
    return {"config": json.loads(json.dumps(plan.stages)), "code": code}


def test_versions_made_the_same_way_are_told_once(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for words in ((), ("model=logistic",)):
        registry.add(SLOT, {"card.json": json.dumps(card_of(*words)).encode()}, registered_at=AT)
    registry.add(SLOT, {"card.json": b"{}"}, registered_at=AT)
    made = an_audit(full=True, digest=digest_of(own_plan(chosen(), CONF)))
    assert digest_of_card(card_of()) == made.digest
    assert list(note_versions(registry, made, AT)) == ["demo/SIM-BTC v0001"]
    assert list(note_versions(registry, made, AT)) == []
    event = registry.events(SLOT, "v0001")[-1]
    assert event["event"] == "audited"
    assert (event["outcome"], event["volume"]) == ("passed", "full")


def test_the_risk_head_reads_candles_whatever_the_recipe() -> None:
    for recipe in ("demo", "bingx_dual", "upbit_pooled"):
        plans = market_plans(chosen(f"recipe={recipe}", "market=recipe"), CONF)
        (head,) = plans["risk"].stages["train"]["heads"].values()
        assert head["classes"] == ["calm", "high"]
        assert plans["trade"].stages["train"]["split"]["test_share"] == 0.5
    own = plans_of("recipe=bingx_dual")
    assert own["trade"].stages["train"]["heads"]["long_entry"]["model"]["class_weight"] != "none"
    assert own["risk"].stages["train"]["heads"]["long_entry"]["model"]["class_weight"] == "none"


def plans_of(*words: str) -> dict[str, Plan]:
    return market_plans(chosen(*words, "market=recipe"), CONF)


TINY = Volume(
    noise=1, bars=0, timing=1, planted=1, weaker=0, shuffled=1, rows=2500, cuts=4, moments=5
)


def test_the_command_tells_keeps_and_fails_by_its_exit_code(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "SHORT", TINY)
    words = ["audit", "recipe=demo", "exchange=simulated", "model=logistic", "calibration=none"]
    code = main([*words, "--json"])
    facts = json.loads(capsys.readouterr().out)
    asked = {"truncation", "corruption", "overlap", "fitted", "calibrated", "bundle", "columns"}
    asked |= {"parity", "shuffled", "noise", "timing", "risk", "planted"}
    assert {check["check"] for check in facts["checks"]} == asked
    failed = [check["check"] for check in facts["checks"] if check["passed"] is False]
    assert set(failed) <= {"planted", "risk"}  # 2,500 candles are too few to find anything
    assert facts["passed"] == (not failed)
    assert code == (command.FAILED if failed else 0)
    assert Path(facts["file"]).is_file()
    plan = own_plan(chosen("model=logistic", "calibration=none"), CONF)
    found = audit_of(plan, home, CHECKOUT)
    assert found is not None
    assert found.digest == facts["digest"]


def test_the_table_names_every_check_and_what_it_catches(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tuple(
        Result(check=name, passed=name != "noise", number="some number") for name in CHECKS
    )
    made = Audit(recipe="demo", models=("a.B",), digest="d", full=True, results=results)
    monkeypatch.setattr(auditing, "audit", lambda asked, show: made)
    assert main(["audit", "recipe=demo"]) == command.FAILED
    out = capsys.readouterr().out
    told = " ".join(out.split())
    for name, catches in CHECKS.items():
        assert name in out
        assert catches in told
    assert "FAILED: noise. To do: trust no figure of it." in told


def test_recorded_candles_without_a_traded_value_are_shuffled_too(tmp_path: Path) -> None:
    series = Series("binance", "BTC-USDT", "1h")
    candles = draw(NOISE, 2400, "1h", np.random.default_rng(1)).candles
    store = CandleStore(tmp_path / "data" / "store")
    store.append(series, candles[list(REQUIRED)])
    bars = auditing._bars(tmp_path, series)
    assert list(bars.columns) == list(REQUIRED)
    made = shuffled_blocks(bars, 240, 24, np.random.default_rng(1))
    assert (made["value"] > 0).all()


def test_ten_short_markets_come_out_as_recorded() -> None:
    """The outcome of fixed seeds: a change here is a change of what is found in noise."""
    plans = market_plans(chosen("calibration=none"), CONF)
    volume = Volume(noise=4, bars=0, timing=2, planted=2, weaker=0, shuffled=2)
    found = judge_markets(Judge(plans, volume.rows), volume, workers=1)
    verdicts = {name: [each.verdict for each in judged] for name, judged in found.items()}
    assert verdicts == {
        "shuffled": ["observe"] * 2,
        "noise": ["observe"] * 4,
        "timing": ["observe"] * 2,
        "risk": ["observe"] * 2,
        "planted": ["promote"] * 2,
    }
    assert all(each.found for each in found["risk"])
