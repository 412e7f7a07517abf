"""The signal log: each answer once, whoever writes it, and no more lost than the last line."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.live.answers import Answer, HeadAnswer, Moment
from pipeline.live.log import Logged, SignalLog
from pipeline.live.said import Said, is_challengers
from pipeline.operations.versions.serve import keep
from registry import files
from registry.slots import Slot

SLOT = Slot.parse("demo@replay/SIM-BTC")
NOW = pd.Timestamp("2026-01-01T00:00Z")
PROBABILITY = {"sell": 0.25, "hold": 0.25, "buy": 0.5}


def line(hour: int, version: str = "v0001", role: str = "champion", **changed: object) -> Logged:
    candle = pd.Timestamp("2025-11-30T00:00Z") + pd.Timedelta(hours=hour)
    told = Logged(
        slot=str(SLOT),
        market="SIM-BTC",
        candle=candle.isoformat(),
        version=version,
        role=role,  # type: ignore[arg-type]
        known_at=(candle + pd.Timedelta("1h")).isoformat(),
        mode="observe",
        in_sample=False,
        heads={"direction": PROBABILITY},
        action="HOLD",
        share=0.0,
        at=NOW.isoformat(),
    )
    return dataclasses.replace(told, **changed)  # type: ignore[arg-type]


def said(hour: int = 0) -> Said:
    of = line(hour)
    at = Moment(
        of.slot, of.market, of.candle, of.known_at, of.version, of.known_at, of.mode, of.in_sample
    )
    return Said(
        Answer(at, {"direction": HeadAnswer(PROBABILITY), "exit": HeadAnswer({})}), "champion"
    )


def test_an_answer_is_kept_once_in_each_role(tmp_path: Path) -> None:
    log = SignalLog(tmp_path)
    first = line(0)
    assert log.keep([first]) == 1
    assert log.keep([first, dataclasses.replace(first, at="2026-02-01T00:00:00+00:00")]) == 0
    others = [line(0, role="shadow"), line(0, "v0002"), line(1), line(0, market="SIM-ETH")]
    assert log.keep(others) == len(others)
    assert log.read(SLOT) == ([first, *others], ())


def test_a_month_has_a_file_and_since_leaves_out_what_is_older(tmp_path: Path) -> None:
    log = SignalLog(tmp_path)
    lines = [line(hour) for hour in (0, 23, 24, 30)]
    assert log.keep(lines) == 4
    place = tmp_path / "demo@replay/SIM-BTC"
    assert sorted(path.name for path in place.glob("*.jsonl")) == ["2025-11.jsonl", "2025-12.jsonl"]
    assert log.read(SLOT, pd.Timestamp("2025-11-30T23:00Z"))[0] == lines[1:]
    assert log.read(SLOT, pd.Timestamp("2025-12-01T01:00Z"))[0] == lines[3:]
    assert log.read(Slot.parse("demo/SIM-ETH")) == ([], ())


@given(cut=st.integers(1, 400))
def test_a_line_that_was_cut_off_is_written_again(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    log = SignalLog(tmp_path_factory.mktemp("log"))
    log.keep([line(0), line(1)])
    (path,) = log.root.rglob("*.jsonl")
    whole = path.read_bytes()
    cut = min(cut, len(whole) - whole.find(b"\n") - 1)
    os.truncate(path, len(whole) - cut)
    assert log.read(SLOT) == ([line(0)], ())
    assert log.keep([line(0), line(1)]) == 1
    assert path.read_bytes() == whole


def test_a_damaged_line_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    log = SignalLog(tmp_path)
    log.keep([line(0), line(1), line(2)])
    (path,) = tmp_path.rglob("*.jsonl")
    told = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([told[0], told[1].replace(b"0.5", b"0.6"), b'{"a": 1}', *told[2:]]))
    assert log.read(SLOT) == (
        [line(0), line(2)],
        ("2025-11.jsonl: line 2", "2025-11.jsonl: line 3"),
    )


def test_who_writes_at_once_loses_nothing(tmp_path: Path) -> None:
    log = SignalLog(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        kept = sum(pool.map(lambda hour: log.keep([line(hour % 12)]), range(48)))
    assert kept == 12
    lines, damaged = log.read(SLOT)
    assert damaged == ()
    assert sorted(each.candle for each in lines) == [line(hour).candle for hour in range(12)]


def test_what_is_logged_is_what_was_said(tmp_path: Path) -> None:
    beside = dataclasses.replace(said().answer.at, version="v0002")
    both = Said(said().answer, "challenger", 0.25, Answer(beside, said().answer.heads))
    assert keep(both, tmp_path, NOW) == ""
    told = [
        dataclasses.replace(line(0, version, role), share=0.25, action=None)
        for version, role in (("v0001", "challenger"), ("v0002", "shadow"))
    ]
    assert SignalLog.below(tmp_path).read(SLOT) == (told, ())
    assert both.to_dict()["shadow"]["version"] == "v0002"


def test_a_full_disk_costs_the_line_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VINTAGE_HOME", str(tmp_path))
    with pytest.MonkeyPatch.context() as patch:

        def full(path: Path, text: str) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(files, "append_line", full)
        assert "No space left" in keep(said(), tmp_path, NOW)
    (told,) = (tmp_path / "logs/vintage.jsonl").read_text().splitlines()
    assert json.loads(told)["event"] == "signal_not_logged"
    assert keep(said(), tmp_path, NOW) == ""
    assert len(SignalLog.below(tmp_path).read(SLOT)[0]) == 1


@given(share=st.floats(0, 1), more=st.floats(0, 1))
def test_a_greater_share_keeps_the_candles_of_a_smaller_one(share: float, more: float) -> None:
    low, high = sorted((share, more))
    candles = [line(hour).candle for hour in range(50)]
    small, great = (
        {each for each in candles if is_challengers("A-B", each, s)} for s in (low, high)
    )
    assert small <= great


def test_the_share_is_that_of_the_candles() -> None:
    candles = [line(hour).candle for hour in range(4000)]
    found = sum(is_challengers("KRW-SOL", each, 0.2) for each in candles)
    assert abs(found / 4000 - 0.2) < 0.02
    other = sum(
        is_challengers("KRW-SOL", each, 0.2) and is_challengers("KRW-BTC", each, 0.2)
        for each in candles
    )
    assert abs(other / 4000 - 0.04) < 0.02, "each market has candles of its own"
