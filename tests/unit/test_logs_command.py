"""``vintage logs``: what is shown, what is skipped, and that no line reaches the terminal raw."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import log
from pipeline.__main__ import main
from pipeline.commands import logs
from pipeline.operations.log_events import LogFile, Wanted, json_of, line_of
from tests.volume import volume

Capture = pytest.CaptureFixture[str]
NASTY = "\x1b[31mred\x07\r\n\u202eback\x9b0m\x00"


@pytest.fixture
def file(home: Path) -> Path:
    path = home / "logs" / log.FILE
    path.parent.mkdir()
    events = [
        {"at": "2020-01-01T00:00:00.000+00:00", "event": "stage", "stage": "train", "pid": 1},
        {"at": "2025-12-20T09:00:00+09:00", "event": "slot_finished", "level": "error"}
        | {"slot": "demo/SIM-BTC", "run": "r1-abc", "error": NASTY},
        {"at": "2025-12-20T01:00:00+00:00", "event": "stage", "level": "info", "run": "r1-abc"},
        {"at": "2025-12-20T02:00:00+00:00", "event": "odd", "level": "warning", "run": "r2"},
    ]
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


def shown(capsys: Capture, *words: str, code: int = 0) -> list[str]:
    capsys.readouterr()
    assert main(["logs", *words]) == code
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("words", "events"),
    [
        ([], ["stage", "slot_finished", "stage", "odd"]),
        (["demo/SIM-BTC"], ["slot_finished"]),
        (["r1"], ["slot_finished", "stage"]),
        (["--event", "stage"], ["stage", "stage"]),
        (["--level", "warning"], ["slot_finished", "odd"]),
        (["--level", "error"], ["slot_finished"]),
        (["--since", "2025-12-20T00:30Z"], ["stage", "odd"]),
        (["--since", "2025-12-20T00:00Z", "--event", "stage", "r1"], ["stage"]),
        (["--since", "1d"], []),
    ],
)
def test_events_are_filtered(
    file: Path, capsys: Capture, words: list[str], events: list[str]
) -> None:
    assert [json.loads(line)["event"] for line in shown(capsys, *words, "--json")] == events
    assert [line.split()[3] for line in shown(capsys, *words)] == events


@pytest.mark.parametrize("damage", [b"{broken\n", b"[1]\n", b"\xff\xfe\n", b'{"at": 1}\n', b"\n"])
def test_damaged_lines_are_skipped_and_counted(file: Path, capsys: Capture, damage: bytes) -> None:
    whole = file.read_bytes()
    file.write_bytes(damage + whole + damage + b'{"at": "2025')
    assert main(["logs", "--json"]) == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 4
    assert told.err == "2 lines of the log could not be read and were skipped\n"


def test_no_line_reaches_the_terminal_raw(file: Path, capsys: Capture) -> None:
    for words in (["r1"], ["r1", "--json"]):
        for line in shown(capsys, *words):
            assert line.isprintable()
    assert "red" in shown(capsys, "demo/SIM-BTC")[0]


@settings(max_examples=volume(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(max_size=8),
        st.recursive(st.none() | st.text() | st.integers() | st.floats(), st.lists, max_leaves=4),
        max_size=5,
    )
)
def test_any_event_is_one_printable_line(facts: dict[str, object]) -> None:
    event = {**facts, "at": pd.Timestamp("2025-12-20T00:00Z"), "event": "odd"}
    assert line_of(event).isprintable()
    assert json_of(event).isprintable()


def test_a_word_that_is_not_in_the_log_names_the_nearest(file: Path, capsys: Capture) -> None:
    assert main(["logs", "demo/SIM-BTX"]) == 2
    assert "did you mean demo/SIM-BTC?" in capsys.readouterr().err
    assert main(["logs", "--event", "stagee"]) == 2
    assert "did you mean stage?" in capsys.readouterr().err
    assert main(["logs", "--level", "warn"]) == 2
    assert "did you mean warning?" in capsys.readouterr().err
    assert main(["logs", "--since", "2w"]) == 2
    assert "90s, 30m, 2h, 7d, or a moment" in capsys.readouterr().err


def test_an_empty_log_is_told(home: Path, capsys: Capture) -> None:
    assert main(["logs"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "no such event yet\n")


def test_following_shows_what_comes_also_in_a_new_file(file: Path, capsys: Capture) -> None:
    waits: list[int] = []

    def wait(_: float) -> None:
        waits.append(len(capsys.readouterr().out.splitlines()))
        if len(waits) == 1:
            log.event("came", word="one")
        elif len(waits) == 2:
            with file.open("a") as growing:
                growing.write('{"at": "2025-12-20T03:00Z", "event": ')
        elif len(waits) == 3:
            with file.open("a") as growing:
                growing.write('"whole"}\n')
        elif len(waits) == 4:
            file.rename(file.with_suffix(".old"))
            log.event("after")
        elif len(waits) == 5:
            os.truncate(file, 0)
        elif len(waits) == 6:
            log.event("last")
        else:
            raise KeyboardInterrupt

    assert logs.main(["-f"], wait) == 0
    assert waits == [4, 1, 0, 1, 1, 0, 1]


def test_events_carry_level_run_and_slot(home: Path) -> None:
    with log.tagged(run="r1", slot="demo/SIM-BTC"), log.tagged(slot="other"):
        log.event("inside", log.WARNING, rows=1)
    log.event("outside")
    inside, outside = LogFile(home / "logs" / log.FILE).read()
    assert (inside["level"], inside["run"], inside["slot"]) == ("warning", "r1", "other")
    assert outside["level"] == "info"
    assert not {"run", "slot"} & set(outside)
    assert Wanted(about="r1").takes(inside)
    assert not Wanted(about="r1").takes(outside)
