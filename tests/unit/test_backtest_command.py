"""``vintage backtest`` trades what a version said, as the run that made it did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.config import read_yaml
from pipeline.configuration.plan import RUN, RunFacts
from pipeline.fitting.trial import REGISTRY
from pipeline.operations.retraining import candidate
from pipeline.operations.workspace import Workspace
from pipeline.stages import paths
from registry.slots import Slot
from registry.trials import trials
from registry.versions import Registry
from tests.conftest import AS_OF, CHECKOUT
from tests.runs import run_stages
from tests.spine import one_paragraph

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]
GAP = "\N{NO-BREAK SPACE}"
SLOT = Slot.parse("demo/SIM-BTC")
WORDS = {
    "recipe": "demo",
    "exchange": "simulated",
    "market": "SIM-BTC",
    "model": "logistic",
    "backtest.long_threshold": 0.4,
    "as_of": AS_OF,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a registered version, the files of its run and the store."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copy(CHECKOUT / "params.yaml", folder / "params.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("VINTAGE_HOME", str(folder))
        run_stages(WORDS)
        run = RunFacts.parse(read_yaml(RUN), "run")
        files = candidate.collect(Workspace(folder), run.slot, run).files
        Registry(folder / REGISTRY).add(run.slot, files, "2025-12-21T00:00:00+00:00")
    return folder


@pytest.fixture
def there(made: Path, monkeypatch: Patch) -> Path:
    monkeypatch.chdir(made)
    monkeypatch.setenv("VINTAGE_HOME", str(made))
    return made


def told(capsys: Capture, *words: str) -> dict[str, object]:
    assert main(["backtest", *words, "--json"]) == 0
    facts: dict[str, object] = json.loads(capsys.readouterr().out)
    return facts


def test_it_comes_to_what_the_run_said(there: Path, capsys: Capture) -> None:
    written = json.loads((there / paths.BACKTEST).read_text())
    before = trials(there / REGISTRY, SLOT)
    for words in (["demo/SIM-BTC"], ["demo/SIM-BTC", "v0001"], ["recipe=demo"]):
        facts = told(capsys, *words)
        assert {name: facts[name] for name in written} == written
        assert (facts["slot"], facts["version"]) == (str(SLOT), "v0001")
    assert trials(there / REGISTRY, SLOT) == before, "its own profile is no further trial"
    flat = json.loads((there / paths.METRICS).read_text())
    figures = written["costs"]["1x"]
    assert flat["net_return"] == pytest.approx(figures["total_return"], rel=1e-5)
    assert flat["trades"] == figures["trades"] > 5
    assert len(pd.read_csv(there / paths.TRADES)) == figures["trades"]
    assert pd.read_csv(there / paths.EQUITY)["series"].nunique() == 3


def test_another_profile_is_a_trial_and_other_costs_are_none(there: Path, capsys: Capture) -> None:
    before = len(trials(there / REGISTRY, SLOT))
    own = told(capsys, "demo/SIM-BTC")
    for _ in range(2):
        facts = told(capsys, "demo/SIM-BTC", "backtest=bingx_futures")
        assert facts["profile"]["venue"] == "swap"  # type: ignore[index]
    (last,) = trials(there / REGISTRY, SLOT)[before:]
    assert (last.source, last.choices["version"]) == ("backtest", "v0001")
    dear = told(capsys, "demo/SIM-BTC", "market.fee_bps=50")
    assert dear["profile"] == own["profile"]
    worth = [each["costs"]["1x"]["total_return"] for each in (own, dear)]  # type: ignore[index]
    assert worth[1] < worth[0]
    assert len(trials(there / REGISTRY, SLOT)) == before + 1


def test_people_read_a_table(there: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["backtest", "recipe=demo", "--trades", str(tmp_path / "own.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("demo/SIM-BTC v0001, out of fold 2025-")
    (header,) = (line for line in lines if "buy and hold" in line)
    assert header.split("  ")[-1].strip() == "always flat"
    assert "costs 1x  costs 2x" in header
    text = "\n".join(lines)
    for part in ("by side", "by exit", "by regime", "  luck  ", "stop 2 % of the price"):
        assert part in text
    told = json.loads((there / paths.BACKTEST).read_text())
    span = " to ".join(told[end][:16].replace("T", " ") for end in ("from", "to"))
    assert lines[0].endswith(f"out of fold {span} UTC")
    hours = told["costs"]["1x"]["by"]["hour"]
    for hour, row in hours.items():
        assert f"{hour}h {100 * row['pnl']:.2f} ({row['trades']})" in text.replace(GAP, " ")
    windows = told["costs"]["1x"]["five_days"]
    assert f"five days costs 1x: {100 * windows['return']:.2f} % a window" in text
    assert f"{windows['windows']} windows of five days" in " ".join(text.split())
    assert "  funding   " not in text, "a spot venue has none"
    assert max(map(len, lines)) <= 120
    assert (tmp_path / "own.csv").read_bytes() == (there / paths.TRADES).read_bytes()


def test_recorded_funding_is_paid_where_there_is_some(
    there: Path, tmp_path: Path, capsys: Capture
) -> None:
    words = ["demo/SIM-BTC", "backtest=bingx_futures", "backtest.long_threshold=0.4"]
    words += ["market.funding.hours=8", "market.funding.bps=1.0"]
    assumed = told(capsys, *words)
    time = pd.date_range("2025-01-01", "2025-12-31", freq="8h", tz="UTC")
    file = tmp_path / "funding.csv"
    pd.DataFrame({"time": time, "rate": 3e-4}).to_csv(file, index=False)
    recorded = told(capsys, *words, "--funding", str(file))
    paid = [facts["costs"]["1x"]["funding"] for facts in (assumed, recorded)]  # type: ignore[index]
    assert paid[0] != 0.0
    assert paid[1] != paid[0]
    facts = recorded["funding"]
    assert (facts["table"], facts["assumed_payments"]) == ("funding.csv", 0)  # type: ignore[index]
    assert main(["backtest", *words, "--funding", str(file)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "funding recorded: " in said
    assert "payments of funding.csv, 3 bp in the mean" in said
    assert "stop 1 % of the margin (0.25 % of the price)" in said
    assert main(["backtest", "demo/SIM-BTC", "--funding", str(file)]) == 2
    assert "spot venue pays no funding" in one_paragraph(capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["SIM-BTC"], "no slot"),
        (["demo/SIM-BTC", "v0001", "v0002"], "too many words"),
        (["demo/SIM-BTC", "recipe=demo"], "give one of the two"),
        (["recipe=demo", "as_of=2025-12-01T00:00Z"], "leave out as_of"),
        (["demo/SIM-BTC", "v0009"], "no such version"),
        (["recipe=demo", "market=SIM-ETH"], "vintage retrain recipe=demo market=SIM-ETH"),
        (["recipe=demo", "backtest=upbit_spot_30min"], "candles that orders are filled on"),
        (["recipe=demo", "backtest.max_holding=30m"], "shorter than one candle"),
        (["recipe=demo", "backtest=upbit_spott"], "upbit_spot"),
    ],
)
@pytest.mark.usefixtures("there")
def test_what_cannot_be_traded_is_one_paragraph(
    words: list[str], said: str, capsys: Capture
) -> None:
    assert main(["backtest", *words]) != 0
    assert said in one_paragraph(capsys)
