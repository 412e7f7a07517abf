from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.commands import feature_words
from pipeline.configuration.conf_options import options
from pipeline.features.feature_set import FeatureSet
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.simulated import Simulated
from pipeline.market.store import CandleStore, Series
from tests.causality import SETS
from tests.spine import CONF, one_paragraph, own_conf

Capture = pytest.CaptureFixture[str]
SERIES = Series("simulated", "SIM-BTC", "1h")
END = pd.Timestamp("2025-12-20T00:00Z")
AT = "2025-12-18T12:00Z"
HOUR = pd.Timedelta("1h")


@pytest.fixture
def stored(home: Path) -> pd.DataFrame:
    """A store with 900 candles of one market."""
    market = Instrument(name="SIM-BTC", symbol="SIM-BTC")
    candles = Simulated().fetch(market, "1h", END - 900 * HOUR, END)
    CandleStore(home / "data" / "store").append(SERIES, candles)
    return CandleStore(home / "data" / "store").read(SERIES)


def told(capsys: Capture, *words: str) -> str:
    assert main(["features", *words]) == 0, capsys.readouterr().err
    out, err = capsys.readouterr()
    assert err == ""
    return out


def facts(capsys: Capture, *words: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(told(capsys, *words, "--json"), parse_constant=refuse)


def test_every_set_is_listed(home: Path, capsys: Capture) -> None:
    assert [one["set"] for one in facts(capsys, "show")] == options(CONF, "features")
    text = told(capsys, "show")
    for name, features in SETS.items():
        line = next(line for line in text.splitlines() if line.startswith(f"{name} "))
        assert line.split()[1:4] == [
            str(n) for n in (len(features.names), features.warm_up, features.memory)
        ]


@pytest.mark.parametrize("name", SETS)
def test_a_set_shows_its_columns_without_any_candle(home: Path, capsys: Capture, name: str) -> None:
    found, features = facts(capsys, "show", name), SETS[name]
    assert found["digest"] == features.digest
    assert [column["column"] for column in found["columns"]] == list(features.names)
    assert facts(capsys, "show", f"features={name}") == found
    for column in found["columns"]:
        spec = features.columns[column["column"]]
        assert (column["warm_up"], column["memory"]) == (spec.warm_up, spec.memory)
        assert (column["formula"], column["unit"]) == (spec.formula, spec.unit)
    text = told(capsys, "show", name)
    for spec in features.columns.values():
        assert spec.formula.split()[0] in text
    assert f"{len(features.names)} columns, warm_up {features.warm_up}, " in text


def test_a_row_has_the_values_of_training(stored: pd.DataFrame, capsys: Capture) -> None:
    table = SETS["hourly46"].compute(stored)
    found = facts(capsys, "show", "hourly46", "recipe=demo", "at=2025-12-18T12:34Z")
    assert found["candle"] == "2025-12-18T12:00:00+00:00"
    assert found["known_at"] == "2025-12-18T13:00:00+00:00"
    assert found["values"] == table.loc["2025-12-18T12:00Z"].to_dict()
    newest = facts(capsys, "show", "recipe=demo")
    assert newest["values"] == table.iloc[-1].to_dict()
    assert newest["set"] == "hourly46"
    text = told(capsys, "show", "hourly46", "recipe=demo", f"at={AT}")
    assert "hourly46 on simulated/SIM-BTC/1h, candle 2025-12-18 12:00 UTC" in text
    value, mean, spread = table["rsi"].loc[AT], table["rsi"].mean(), table["rsi"].std()
    line = next(line for line in text.splitlines() if line.startswith("rsi "))
    assert line.split() == [
        "rsi",
        f"{value:.10g}",
        "0",
        "to",
        "100",
        f"{(value - mean) / spread:+.2f}",
    ]


def test_as_of_leaves_later_candles_out(stored: pd.DataFrame, capsys: Capture) -> None:
    found = facts(capsys, "show", "recipe=demo", f"as_of={AT}")
    assert found["known_at"] == "2025-12-18T12:00:00+00:00"
    assert found["values"] == SETS["hourly46"].compute(stored).loc["2025-12-18T11:00Z"].to_dict()


def test_nobody_is_asked_for_candles(
    stored: pd.DataFrame, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: Any) -> None:
        raise AssertionError("the store is enough")

    monkeypatch.setattr(Simulated, "fetch", asked)
    monkeypatch.setattr(Simulated, "newest", asked)
    assert "rsi" in told(capsys, "show", "recipe=demo")


def test_a_column_is_explained_by_the_candles_that_it_read(
    stored: pd.DataFrame, capsys: Capture
) -> None:
    found = facts(capsys, "explain", "hourly46", "sma_5", "recipe=demo", f"at={AT}")
    closes = [candle["close"] for candle in found["candles"]]
    assert found["candles"][-1]["time"] == "2025-12-18T12:00:00+00:00"
    assert len(closes) == found["memory"] == 5
    assert found["value"] == pytest.approx(np.mean(closes), rel=1e-14)
    text = told(capsys, "explain", "hourly46", "sma_5", "recipe=demo", f"at={AT}")
    for part in (
        found["formula"],
        "moving_average(window=5, field=close)",
        f"{found['value']:.10g}",
    ):
        assert part in text
    assert "the candles that it read\n" in text
    longer = told(capsys, "explain", "hourly46", "rsi", "recipe=demo", f"at={AT}")
    assert "6 of the 15 candles that it read\n" in longer
    assert (
        told(capsys, "explain", "hourly46", "close", "recipe=demo").count("2025-12-19 23:00") == 2
    )


def test_a_column_of_trades_is_explained_back_to_the_entry(
    stored: pd.DataFrame, capsys: Capture
) -> None:
    words = ("recipe=demo", "label=long_exit")
    found = facts(capsys, "explain", "exit44", "current_pnl_pct", *words)
    entry, now = found["candles"][0], found["candles"][-1]
    assert entry["time"] == found["trade"]
    assert now["time"] == found["candle"]
    assert found["value"] == pytest.approx(now["close"] / entry["close"] - 1, abs=1e-15)
    row = facts(capsys, "show", "exit44", *words)
    assert row["values"]["current_pnl_pct"] == found["value"]
    assert "trade entered 2025-12-19" in told(capsys, "show", "exit44", *words)
    assert main(["features", "show", "exit44", "recipe=demo"]) == 2
    assert "label=long_exit" in one_paragraph(capsys)


def test_two_sets_differ_by_columns(home: Path, capsys: Capture) -> None:
    found = facts(capsys, "diff", "entry37", "exit44")
    assert found["removed"] == ["atr_pct"]
    assert found["added"] == list(SETS["exit44"].of_trades)
    assert found["changed"] == {}
    assert found["digests"] == [SETS[name].digest for name in ("entry37", "exit44")]
    assert not found["reordered"]
    text = told(capsys, "diff", "entry37", "exit44")
    assert "only in entry37  atr_pct" in text
    assert "same columns in the same order" in told(capsys, "diff", "entry37", "entry37")


def test_changed_and_reordered_columns_are_told(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = own_conf(home)
    for name, columns in {
        "one": "{a: {indicator: rsi, window: 14, kind: simple}, b: {indicator: atr, window: 9}}",
        "two": "{b: {indicator: atr, window: 9}, a: {indicator: rsi, window: 9, kind: simple}}",
    }.items():
        target = f"{FeatureSet.__module__}.FeatureSet"
        text = f"_target_: {target}\nname: {name}\ncolumns: {columns}\n"
        (conf / "features" / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(feature_words, "checkout", lambda: home)
    found = facts(capsys, "diff", "one", "two")
    assert [each["window"] for each in found["changed"]["a"]] == [14, 9]
    assert found["reordered"]
    text = told(capsys, "diff", "one", "two")
    assert "rsi(window=14, kind=simple)  rsi(window=9, kind=simple)" in text
    assert "another order" in text


def test_two_moments_differ_by_deviations(stored: pd.DataFrame, capsys: Capture) -> None:
    table = SETS["entry37"].compute(stored)
    moments = ("2025-12-17T00:00Z", AT)
    words = ("diff", "entry37", "recipe=demo", *(f"at={moment}" for moment in moments))
    found = facts(capsys, *words)
    first, second = (table.loc[moment] for moment in moments)
    assert [row["values"] for row in found["rows"]] == [first.to_dict(), second.to_dict()]
    expected = (second["rsi"] - first["rsi"]) / table["rsi"].std()
    assert found["deviations"]["rsi"] == pytest.approx(expected)
    line = next(line for line in told(capsys, *words).splitlines() if line.startswith("rsi "))
    assert line.split()[1:] == [f"{first['rsi']:.10g}", f"{second['rsi']:.10g}", f"{expected:+.2f}"]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ("show hourly64", 2, "did you mean hourly46?"),
        ("show hourly46 entry37", 2, "vintage features show SET"),
        ("explain hourly46", 2, "a name is missing"),
        ("explain hourly46 rsii", 2, "did you mean rsi?"),
        ("explain hourly46 rsii recipe=demo", 2, "did you mean rsi?"),
        ("diff hourly46", 2, "a name is missing"),
        ("diff hourly46 entry37 recipe=demo", 2, "two moments within one set"),
        (f"diff hourly46 recipe=demo at={AT}", 2, "1 moments"),
        (f"diff hourly46 recipe=demo at={AT} at=2025-12-18T12:30Z", 2, "in one candle"),
        (f"show hourly46 recipe=demo at={AT} at={AT}", 2, "one too many"),
        ("show hourly46 recipe=demo at=2025-12-18", 2, "at names no time zone"),
        ("show hourly46 recipe=demo at=2020-01-01T00:00Z", 4, "no candle of that moment"),
        ("show hourly46 recipe=demo at=2025-11-14T00:00Z", 4, "lies in the warm-up"),
        ("show exit44 recipe=demo label=long_exit at=2025-12-19T00:00Z", 4, "no trade has a row"),
        ("show hourly46 recipe=demo market=SIM-ETH", 4, "vintage data sync recipe=demo"),
        ("show hourly46 market=SIM-DOGE", 2, "SIM-BTC"),
        ("show hourly46 recipe=demo wrong=1", 2, "unknown key 'wrong'"),
    ],
)
def test_what_cannot_be_shown_is_said(
    stored: pd.DataFrame, capsys: Capture, words: str, code: int, why: str
) -> None:
    assert main(["features", *words.split()]) == code
    assert why in one_paragraph(capsys)


def test_one_broken_set_does_not_hide_the_others(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = own_conf(home)
    (conf / "features" / "broken.yaml").write_text("columns: {a: [")
    (conf / "features" / "alias.yaml").write_bytes((conf / "features/hourly46.yaml").read_bytes())
    monkeypatch.setattr(feature_words, "checkout", lambda: home)
    assert main(["features", "show"]) == 1
    text, err = capsys.readouterr()
    assert err == ""
    assert {name for name in SETS if f"\n{name} " in text} == set(SETS)
    assert "cannot be used\n" in text
    assert "broken  cannot be read as YAML" in text
    assert main(["features", "show", "--json"]) == 1
    *good, alias, broken = json.loads(capsys.readouterr().out)
    assert [one["set"] for one in good] == options(CONF, "features")
    assert (alias["set"], broken["set"]) == ("alias", "broken")
    assert "To do: correct the file" in broken["error"]
    assert main(["features", "show", "hourly46"]) == 0
