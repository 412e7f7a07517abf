"""Position sources: only a whole, recent state in which every trade is closed is flat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.operations.retraining.positions.file import FilePositions
from pipeline.operations.retraining.positions.none import NoPositions

NOW = pd.Timestamp("2025-12-20T09:00Z")
FRESH = "2025-12-20T08:55:00+00:00"
CLOSED = {"status": "CLOSED", "side": "LONG", "pnl_pct": 0.01, "exit_reason": "stop"}


def state(*statuses: Any, **more: Any) -> dict[str, Any]:
    trades = [{**CLOSED, "status": status} for status in statuses]
    return {"timestamp": FRESH, "trades": trades, "current_balance": 9.5, **more}


def asked(home: Path, content: object, **keys: Any) -> tuple[bool, str]:
    told = content if isinstance(content, bytes) else json.dumps(content).encode()
    (home / "state.json").write_bytes(told)
    standing = FilePositions(path=Path("state.json"), **keys).standing(["BTC-USDT"], NOW)
    return standing.flat, standing.why


def test_nobody_asked_is_flat() -> None:
    assert NoPositions().standing(["KRW-SOL"], NOW).flat


def test_closed_trades_and_none_are_flat(home: Path) -> None:
    assert asked(home, state("CLOSED", "CLOSED")) == (
        True,
        "none of 2 trades is open (state.json)",
    )
    assert asked(home, state()) == (True, "there are no trades (state.json)")
    assert asked(home, state("CLOSED", timestamp="2025-12-20T09:00:00Z"))[0]


def test_an_open_trade_is_not_flat(home: Path) -> None:
    assert asked(home, state("CLOSED", "OPEN")) == (False, "1 position is open (state.json)")
    assert asked(home, state("OPEN", "OPEN"))[1].startswith("2 positions are open")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no JSON, or is being written"),
        (b"\xff\xfe\x00", "is no JSON, or is being written"),
        ([], "holds no JSON object"),
        ({"timestamp": FRESH}, "no list of trades"),
        ({"timestamp": FRESH, "trades": [3]}, "no list of trades"),
        (state("CLOSING"), "neither open nor closed"),
        (state(None), "neither open nor closed"),
        (state("open"), "neither open nor closed"),
        ({"trades": []}, "does not say when"),
        (state(timestamp="now"), "does not say when"),
        (state(timestamp=1766221200), "does not say when"),
        (state(timestamp="2025-12-20T99:00"), "does not say when"),
        (state(timestamp="2025-12-20T09:00:01Z"), "in the future"),
        (state(timestamp="2025-12-20T08:44:59Z"), "too old"),
    ],
)
def test_doubt_is_not_flat(home: Path, content: object, said: str) -> None:
    flat, why = asked(home, content)
    assert not flat
    assert said in why
    assert why.startswith("positions are not known, which is not flat")


def test_what_is_not_a_file_is_not_flat(home: Path) -> None:
    for path in (Path("missing.json"), Path()):
        standing = FilePositions(path=path).standing([], NOW)
        assert (standing.flat, "there is no such file" in standing.why) == (False, True)
    with pytest.raises(ConfigError, match=r"positions\.path=FILE"):
        FilePositions().standing([], NOW)


def test_a_moment_without_a_zone_is_of_the_zone_told(home: Path) -> None:
    local = state(timestamp="2025-12-20T17:55:00.123456")
    assert asked(home, local, zone="Asia/Seoul")[0]
    assert "in the future" in asked(home, local)[1]
    twice = state(timestamp="2025-11-02T01:30:00")
    assert "does not say when" in asked(home, twice, zone="America/New_York")[1]
    with pytest.raises(ConfigError, match="no time zone"):
        FilePositions.parse({"zone": "Mars"}, "positions=file")


WHOLE = json.dumps(state("CLOSED", "OPEN", "CLOSED")).encode()


@given(cut=st.integers(min_value=0, max_value=len(WHOLE)))
def test_a_state_that_is_being_written_is_never_flat(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("torn") / "state.json"
    path.write_bytes(WHOLE[:cut])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VINTAGE_HOME", str(path.parent))
        assert not FilePositions(path=path).standing([], NOW).flat
