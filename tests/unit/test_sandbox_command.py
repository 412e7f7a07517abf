"""``vintage sandbox`` as its user meets it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from pipeline.__main__ import main
from pipeline.errors import ConfigError
from pipeline.sandbox import FAULTS
from tests.conftest import CHECKOUT
from tests.spine import one_paragraph

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_interrupted(ending: signal.Signals) -> None:
    words = ["sandbox", "--port", "0", "--fault", "html@2", "--until", "2025-12-20T00:00Z"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", *words],
        env=environment,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as served:
        assert served.stdout is not None
        told = ""
        while "exchange=binance" not in told:
            line = served.stdout.readline()
            assert line, told
            told += line
        base = re.search(r"exchange\.base_url=(\S+/upbit)", told)
        assert base is not None
        url = f"{base[1]}/v1/candles/minutes/60"
        for to in ("2025-12-01T00:00:00Z", "2025-11-01T00:00:00Z"):
            requests.get(url, params={"market": "KRW-SOL", "count": 50, "to": to}, timeout=30)
        while "[html]" not in told:
            line = served.stdout.readline()
            assert line, told
            told += line
        served.send_signal(ending)
        told += served.communicate(timeout=30)[0]
    assert served.returncode == 0, told
    assert "fault: html from page 2, once: 200 with a page of HTML" in told
    assert "market=KRW-SOL as_of=2025-12-20T00:00Z" in told
    assert "market=KRW-SOL&count=50&to=2025-12-01T00:00:00Z -> 200, rows 50\n" in told
    assert told.endswith("2 requests, 1 of them with a fault\n")


def test_the_faults_are_listed(capsys: Capture) -> None:
    assert main(["sandbox", "--faults"]) == 0
    told = capsys.readouterr().out
    for name, fault in FAULTS.items():
        assert re.search(rf"^{name} +.*{re.escape(fault.summary)}$", told, flags=re.MULTILINE)


def test_a_port_that_is_taken_is_told(capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["sandbox", "--port", str(port)]) == ConfigError.exit_code
    told = one_paragraph(capsys)
    assert f"port {port} of 127.0.0.1 is taken" in told
    assert f"--port {port + 1}" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--port", "70000"], "expected: 0 to 65535"),
        (["--port", "x"], "invalid int value"),
        (["--fault", "htmll@2"], "did you mean html?"),
        (["--candles", "/nowhere"], "is no folder (--candles)"),
        (["--until", "2025-12-20"], "--until names no time zone"),
        (["--fautl", "html"], "did you mean --fault"),
    ],
)
def test_mistakes_are_one_paragraph(capsys: Capture, words: list[str], told: str) -> None:
    assert main(["sandbox", *words]) == ConfigError.exit_code
    assert told in one_paragraph(capsys)


def test_an_empty_folder_is_told(capsys: Capture, tmp_path: Path) -> None:
    assert main(["sandbox", "--candles", str(tmp_path)]) == ConfigError.exit_code
    assert "KRW-SOL-60m.parquet" in one_paragraph(capsys)
