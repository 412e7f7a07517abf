"""A pool from files to signals, in this process: one version, and every member answered by it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.build import build
from pipeline.commands.retrain_story import story
from pipeline.config import read_yaml
from pipeline.configuration.plan import write_plan
from pipeline.errors import ConfigError, DataError
from pipeline.features.feature_set import FeatureSet
from pipeline.frames import of_market, read_frame
from pipeline.labels.three_class import ThreeClass
from pipeline.live.loading import unpack
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.simulated import Simulated
from pipeline.market.pool import MEMBERS
from pipeline.models.base import FeatureTable
from pipeline.models.windows import whole
from pipeline.operations.places import Places
from pipeline.operations.retraining import retrain as retrains
from pipeline.operations.retraining.build_run import BuildReport
from pipeline.operations.retraining.outcome import Outcome
from pipeline.operations.retraining.retrain import retrain
from pipeline.operations.target import Target, resolve
from pipeline.operations.versions.serve import predict, serving_slot
from pipeline.operations.workspace import Workspace
from pipeline.runner import STAGES, run_stage
from pipeline.stages import paths
from registry.errors import RegistryError
from registry.slots import Slot
from registry.versions import Registry
from tests.conftest import AS_OF, CHECKOUT
from tests.unit.test_data_revised import champion as served

Capture = pytest.CaptureFixture[str]
CONF = CHECKOUT / "conf"
NAMES = ("KRW-BTC", "KRW-ETH", "KRW-SOL", "KRW-XRP")
HISTORY = {"KRW-BTC": 1500, "KRW-ETH": 1200, "KRW-SOL": 1200, "KRW-XRP": 1180}
HOLE = pd.date_range("2025-12-10T05:00Z", periods=4, freq="h")
POOL = Slot.parse("upbit_pooled@replay/KRW-ALL")
ALONE = Slot.parse("upbit_hourly@replay/KRW-SOL")
SMALL = ("model.n_estimators=15", "model.learning_rate=0.2")
NOW = pd.Timestamp(AS_OF)


@dataclass(frozen=True)
class Ran:
    home: Path
    root: Path
    outcome: Outcome

    @property
    def words(self) -> list[str]:
        return ["recipe=upbit_pooled", "exchange=replay", f"exchange.root={self.root}"]

    def path(self, relative: Path) -> Path:
        return self.home / "build/workspaces" / str(POOL) / relative

    def facts(self, relative: Path) -> Any:
        return json.loads(self.path(relative).read_text())


def write_candles(root: Path) -> None:
    """Hourly files of four markets: one starts first, one has a hole."""
    root.mkdir()
    world = Simulated(seed=3)
    for name, count in HISTORY.items():
        start = NOW - pd.Timedelta(hours=count)
        one = Instrument(name=name, symbol=name)
        candles = world.fetch(one, "1h", start, NOW).rename_axis("timestamp")
        kept = candles if name != "KRW-ETH" else candles[~candles.index.isin(HOLE)]
        kept.reset_index().to_parquet(root / f"{name}-60m.parquet")


def retrained(home: Path, *words: str) -> Outcome:
    """Retrain in this process, without DVC."""
    target = resolve(words, CONF, home, NOW)

    def built(workspace: Workspace, *_: object) -> BuildReport:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(workspace.folder)
            write_plan(target.plan)
            for stage in STAGES:
                run_stage(stage)
        return BuildReport(STAGES)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrains, "reproduce", built)
        return retrain(target, Places(home, CHECKOUT), NOW, lambda _: None)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("pooled")
    home, root = folder / "home", folder / "files"
    home.mkdir()
    shutil.copy(CHECKOUT / "params.yaml", home)
    write_candles(root)
    words = ("exchange=replay", f"exchange.root={root}", f"as_of={AS_OF}", *SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VINTAGE_HOME", str(home))
        patch.chdir(home)
        outcome = retrained(home, "recipe=upbit_pooled", *words)
        retrained(home, "recipe=upbit_hourly", "market=KRW-SOL", *words)
        yield Ran(home, root, outcome)


def asked(ran: Ran, *words: str) -> Target:
    return resolve([*ran.words, f"as_of={AS_OF}", *words], CONF, ran.home, NOW)


def test_every_member_is_cut_judged_and_kept_apart(ran: Ran) -> None:
    manifest, quality = ran.facts(paths.RAW_MANIFEST), ran.facts(paths.QUALITY)
    assert tuple(manifest[MEMBERS]) == tuple(quality[MEMBERS]) == NAMES
    rows = {name: facts["rows"] for name, facts in manifest[MEMBERS].items()}
    assert rows == HISTORY | {"KRW-ETH": HISTORY["KRW-ETH"] - len(HOLE)}
    assert manifest["rows"] == quality["candles"] == sum(rows.values())
    assert manifest["first"] == manifest[MEMBERS]["KRW-BTC"]["first"]
    missing = {name: facts["missing"] for name, facts in quality[MEMBERS].items()}
    assert missing == dict.fromkeys(NAMES, 0) | {"KRW-ETH": len(HOLE)}
    assert (quality["missing"], quality["holes"], quality["longest_hole"]) == (4, 1, 4)
    clean = read_frame(ran.path(paths.CLEAN))
    assert clean.index.is_unique
    assert tuple(clean.index.unique("market")) == NAMES


def test_features_and_labels_are_those_of_each_market_alone(ran: Ran) -> None:
    clean = read_frame(ran.path(paths.CLEAN))
    features = read_frame(ran.path(paths.FEATURES / "scale_free.parquet"))
    labels = read_frame(ran.path(paths.LABELS / "direction.parquet"))
    config = read_yaml(ran.path(Path("build/config/features.yaml")))["config"]
    table: FeatureSet = build(config["sets"]["scale_free"], "features", ())
    label = ThreeClass(horizon_hours=24, threshold=0.01)
    for name in NAMES:
        own = of_market(clean, name)
        pd.testing.assert_frame_equal(of_market(features, name), table.compute(own), rtol=1e-12)
        told, alone = of_market(labels, name), label.compute(own, "1h")
        assert told.index.equals(alone.index)
        for column in ("label", "ends_at", "weight"):
            assert (told[column] == alone[column]).all(), (name, column)


def test_no_window_crosses_a_hole_or_a_market(ran: Ran) -> None:
    predictions = read_frame(ran.path(paths.PREDICTIONS / "direction.parquet"))
    clean = read_frame(ran.path(paths.CLEAN))
    for name in NAMES:
        rows, time = of_market(predictions, name), of_market(clean, name).index
        for back in range(24):
            before = pd.DatetimeIndex(rows.index) - back * pd.Timedelta(hours=1)
            assert before.isin(time).all(), (name, back)
    table = FeatureTable.from_frame(read_frame(ran.path(paths.FEATURES / "scale_free.parquet")))
    market = table.index.get_level_values("market")
    for name in NAMES:
        places = np.flatnonzero(market == name)
        assert whole(table, places[:30], 24).tolist() == [False] * 23 + [True] * 7


def test_a_test_is_the_same_dates_for_every_member(ran: Ran) -> None:
    joined = read_frame(ran.path(paths.PREDICTIONS / "direction.parquet"))
    labels = read_frame(ran.path(paths.LABELS / "direction.parquet"))
    fits = ran.facts(paths.TRAINING)["heads"]["direction"]["fits"]
    previous = None
    for number, rows in joined.groupby("fold"):
        time = rows.index.get_level_values("time")
        assert {*rows.index.get_level_values("market")} == {*NAMES}
        assert previous is None or time.min() > previous
        previous = time.max()
        fit = fits[int(str(number))]
        trained = labels[labels.index.get_level_values("time") <= pd.Timestamp(fit["train_to"])]
        assert trained["ends_at"].max() <= time.min()


def test_scores_are_told_for_every_member_and_for_all(ran: Ran) -> None:
    head, flat = ran.facts(paths.HEADS)["direction"], ran.facts(paths.METRICS)
    each = head["by_member"]
    assert tuple(each) == NAMES
    assert sum(part["rows"] for part in each.values()) == flat["rows"]
    longest = max(part["effective_rows"] for part in each.values())
    assert longest <= flat["effective_rows"] + 1e-3 < longest * 1.2, "coins of one date are one row"
    losses = [part["metrics"]["log_loss"]["value"] * part["rows"] for part in each.values()]
    assert sum(losses) / flat["rows"] == pytest.approx(flat["log_loss"], rel=1e-4)
    money = ran.facts(paths.BACKTEST)
    assert tuple(money[MEMBERS]) == NAMES
    assert money["together"]["net_return"] == flat["net_return"]
    assert [one["market"] for one in money[MEMBERS].values()] == list(NAMES)
    page = ran.path(paths.REPORT).read_text()
    assert "By market, regime and month" in page
    assert all(page.count(f">{name}<") >= 3 for name in NAMES)
    assert page.count('id="money"') == 1


def test_the_story_tells_the_skill_on_every_member(ran: Ran) -> None:
    told = story(ran.outcome)
    for name in NAMES:
        assert sum(line.startswith(f"  {name}   skill ") for line in told.splitlines()) == 1
    (line,) = (line for line in told.splitlines() if line.startswith("  vintage predict "))
    assert "market=KRW-BTC" in line.split()


def test_any_member_is_answered_by_the_one_champion(ran: Ran) -> None:
    registry = Registry(ran.home / "models/registry")
    version = registry.open(POOL, "v0001")
    card = version.card()
    assert (card["market"], card["slot"]) == ("KRW-ALL", str(POOL))
    head = unpack({name: version.read(name) for name in version.names}).heads["direction"]
    table = FeatureTable.from_frame(read_frame(ran.path(paths.FEATURES / "scale_free.parquet")))
    said = set()
    for name in NAMES:
        signal = predict(asked(ran, f"market={name}"), registry).answer.signal
        assert signal is not None
        assert (signal.slot, signal.market, signal.version) == (str(POOL), name, "v0001")
        assert signal.candle == "2025-12-19T23:00:00+00:00"
        row = np.flatnonzero(table.index == (name, pd.Timestamp(signal.candle)))
        (chances,) = head.predict_proba(table, row)
        told = [signal.sell_probability, signal.hold_probability, signal.buy_probability]
        assert told == pytest.approx(list(chances), rel=1e-9)
        said.add(tuple(told))
    assert len(said) == len(NAMES)


def test_a_market_with_a_champion_of_its_own_is_answered_by_that(ran: Ran, tmp_path: Path) -> None:
    target, registry = asked(ran, "market=KRW-SOL"), Registry(tmp_path)
    assert serving_slot(target, registry) == POOL
    served(registry, str(target.slot))
    assert (
        serving_slot(target, registry) == target.slot == Slot.parse("upbit_pooled@replay/KRW-SOL")
    )
    assert serving_slot(asked(ran, "market=KRW-ETH"), registry) == POOL
    assert asked(ran, "market=SIM-BTC").pool is None
    assert resolve(["recipe=demo", f"as_of={AS_OF}"], CONF, ran.home, NOW).pool is None


def test_a_member_that_was_left_out_is_not_answered_for(ran: Ran, tmp_path: Path) -> None:
    card = Registry(ran.home / "models/registry").open(POOL, "v0001").card()
    members = card["quality"][MEMBERS] | {"KRW-SOL": {"left_out": "frozen"}}
    told = {**card, "quality": {**card["quality"], MEMBERS: members}}
    served(Registry(tmp_path), told.pop("slot"), **told)
    with pytest.raises(ConfigError, match=r"did not learn from KRW-SOL.*Found: frozen"):
        predict(asked(ran, "market=KRW-SOL"), Registry(tmp_path))


def test_a_pool_itself_has_no_signal(ran: Ran) -> None:
    registry = Registry(ran.home / "models/registry")
    with pytest.raises(ConfigError, match=r"several markets.*market=KRW-BTC"):
        predict(asked(ran), registry)
    with pytest.raises(RegistryError, match=r"no champion yet \(upbit_pooled@replay/SIM-BTC\)"):
        predict(asked(ran, "market=SIM-BTC", "exchange.root=null"), registry)


def test_a_pool_is_held_against_a_model_of_one_member(ran: Ran, capsys: Capture) -> None:
    words = ["registry", "compare", str(POOL), "champion", "--against-slot", str(ALONE)]
    root = ["--root", str(ran.home / "models/registry")]
    assert main([*words, *root, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    ours, theirs = told["scored"]["direction"]
    together = told["together"]
    assert together["comparable"]
    assert 50 < together["common_rows"] < ran.facts(paths.METRICS)["rows"] / 2
    difference = ours["log_loss"] - theirs["log_loss"]
    assert difference == pytest.approx(together["log_loss_difference"])
    assert (told["version"], told["against"]) == (f"{POOL} v0001", f"{ALONE} v0001")
    assert main([*words, *root]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[1:3] for line in shown.splitlines() if line.startswith("direction ")][
        1:
    ] == [
        [str(POOL), "v0001"],
        [str(ALONE), "v0001"],
    ]


def test_a_member_is_traded_again_by_its_name(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("VINTAGE_HOME", str(ran.home))
    words = ["backtest", "recipe=upbit_pooled", "exchange=replay", "market=KRW-ETH", "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    member = ran.facts(paths.BACKTEST)[MEMBERS]["KRW-ETH"]
    assert told["slot"] == str(POOL)
    assert (told["market"], told["costs"]) == ("KRW-ETH", member["costs"])
    assert main(["backtest", str(POOL)]) == ConfigError.exit_code
    assert "market=KRW-BTC exchange=replay" in capsys.readouterr().err


def test_the_candles_of_every_member_are_synced(ran: Ran, home: Path, capsys: Capture) -> None:
    assert main(["data", "sync", *ran.words, f"as_of={AS_OF}", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)[MEMBERS]
    assert [each["series"].split("/")[1] for each in told] == list(NAMES)
    rows = [each["appended"] for each in told]
    assert rows == [HISTORY[name] - len(HOLE) * (name == "KRW-ETH") for name in NAMES]


def judged(ran: Ran, home: Path, *words: str) -> None:
    """Download and validate in a home, with one member's files broken."""
    other = home / "files"
    shutil.copytree(ran.root, other)
    path = other / "KRW-XRP-60m.parquet"
    candles = pd.read_parquet(path)
    candles.loc[700:740, "close"] = candles["low"] / 2
    candles.to_parquet(path)
    asked = [*ran.words[:2], f"exchange.root={other}", f"as_of={AS_OF}", *words]
    write_plan(resolve(asked, CONF, home, NOW).plan)
    for stage in ("download", "validate"):
        run_stage(stage)


def test_the_breach_of_one_member_names_it_and_stops(ran: Ran, home: Path) -> None:
    with pytest.raises(DataError, match=r"KRW-XRP 1h"):
        judged(ran, home)


def test_a_broken_member_can_be_left_out(ran: Ran, home: Path) -> None:
    verdicts = "validation.broken_member=leave_out"
    judged(ran, home, verdicts)
    quality = json.loads(paths.QUALITY.read_text())
    assert "KRW-XRP 1h" in quality[MEMBERS]["KRW-XRP"]["left_out"]
    assert "KRW-XRP left out: " in quality["broken"]
    clean = read_frame(paths.CLEAN)
    assert tuple(clean.index.unique("market")) == NAMES[:3]
    assert quality["candles"] == len(clean)
    shutil.rmtree(home / "files")
    with pytest.raises(DataError, match="every member is left out"):
        judged(ran, home, verdicts, "validation.min_rows=100000")
