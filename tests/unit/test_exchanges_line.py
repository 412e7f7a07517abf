"""The line to a venue: whole answers in time or a fault, judged, and nothing of ours told."""

from __future__ import annotations

import dataclasses
import gzip
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import ConfigError, RetryLater
from pipeline.market.exchanges import line as lines
from pipeline.market.exchanges.answer import Answer
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.faults import Fault
from pipeline.market.exchanges.line import Line
from pipeline.market.exchanges.machine import Deadline
from pipeline.market.exchanges.online import Online
from pipeline.market.exchanges.rate_bucket import RateBucket
from pipeline.market.exchanges.retry import persist
from tests.machine import Hands

NOW = pd.Timestamp("2025-12-20T00:00:00Z")
Behaviour = Callable[[socket.socket], None]


def date(moment: pd.Timestamp) -> str:
    return f"Date: {format_datetime(moment.to_pydatetime(), usegmt=True)}\r\n"


def answer(status: str = "200 OK", headers: str = "", body: bytes = b"[]") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}Connection: close\r\n\r\n"
    return head.encode() + body


class Served:
    """Servers that treat every connection alike, and what they heard."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.heard: list[bytes] = []

    def __call__(self, behaviour: Behaviour | bytes) -> str:
        """Start one; gives its address."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.sockets.append(listening)
        threading.Thread(target=self._run, args=(listening, behaviour), daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    def _run(self, listening: socket.socket, behaviour: Behaviour | bytes) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                self.heard.append(connection.recv(65_536))
                if isinstance(behaviour, bytes):
                    connection.sendall(behaviour)
                else:
                    behaviour(connection)


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    for listening in made.sockets:
        listening.close()


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hands:
    monkeypatch.setenv("VINTAGE_RATE_FOLDER", str(tmp_path / "rates"))
    return Hands(NOW)


def line_of(hands: Hands, url: str, timeout: float = 0.4) -> Line:
    return Line(
        rate=5,
        judge=lambda answer, now: 0.0,
        deadline=Deadline.after(hands.machine, 100),
        timeout=timeout,
        max_skew=5,
        base_url=url,
    )


def drip(text: bytes) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        for byte in text:
            connection.sendall(bytes([byte]))
            time.sleep(0.03)

    return behave


def test_a_whole_answer_comes_through(served: Served, hands: Hands) -> None:
    url = served(answer(headers="Content-Encoding: gzip\r\n", body=gzip.compress(b'[{"a": 1}]')))
    line = line_of(hands, url)
    came = line.get(f"{url}/x", params={"b": "2"})
    assert came.json() == [{"a": 1}]
    assert came.ok
    assert line.last is came
    assert line.raised is None
    line.close()


@pytest.mark.parametrize(
    "behaviour",
    [
        drip(answer(headers="X: " + "y" * 200 + "\r\n")),
        drip(answer(body=b"[" + b" " * 200 + b"]")),
        lambda connection: time.sleep(1.0),
    ],
    ids=["headers drip", "body drips", "silence"],
)
def test_no_answer_is_waited_for_longer_than_told(
    served: Served, hands: Hands, behaviour: Behaviour
) -> None:
    url = served(behaviour)
    started = time.monotonic()
    with pytest.raises(Fault, match=r"no whole answer came in time|cannot be reached"):
        line_of(hands, url).get(url)
    assert time.monotonic() - started < 2.5


FAULTS = {
    "cut": (answer(body=b"[1,2,3]")[:-2], "cannot be reached"),
    "empty": (answer(body=b""), "is no JSON"),
    "html": (answer(body=b"<html>maintenance</html>"), "is no JSON"),
    "half": (answer(body=b'[{"a": 1'), "is no JSON"),
    "bytes": (answer(body=b"\xff\xfe\x00"), "is no JSON"),
    "500": (answer("500 Oops", body=b"{}"), "not available"),
    "503": (answer("503 Later", body=b"<html>"), "not available"),
    "408": (answer("408 Slow", body=b""), "not available"),
    "302": (answer("302 Found", "Location: https://example.com/\r\n"), "sends us elsewhere"),
    "204": (answer("204 Nothing", body=b""), "sends us elsewhere"),
    "no http": (b"220 mail.example.com\r\n", "cannot be reached"),
    "long": (answer(body=b"[" + b"1," * 60_000 + b"1]"), "too long"),
    "429": (answer("429 Too Many"), "rate limit is exceeded"),
    "418": (answer("418 Banned"), "address is blocked"),
}


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_what_is_no_answer_is_a_fault(
    served: Served, hands: Hands, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(lines, "LARGEST", 100_000)
    sent, told = FAULTS[name]
    url = served(sent)
    line = line_of(hands, url, timeout=5)
    with pytest.raises(Fault, match=told) as caught:
        line.get(url)
    assert line.raised is caught.value


def test_a_proxy_is_not_asked_for_what_is_near(
    served: Served, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    url = served(answer())
    assert line_of(hands, url, timeout=5).get(url).ok


def test_a_dead_address_is_a_fault(hands: Hands) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Fault, match="cannot be reached") as caught:
        line_of(hands, "").get(f"http://127.0.0.1:{port}/")
    assert caught.value.found == f"Connection refused, 127.0.0.1:{port}"


def test_nobody_on_this_machine_is_soon_given_up(hands: Hands) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    heard: list[str] = []
    machine = dataclasses.replace(hands.machine, tell=heard.append)
    exchange = Online(venue="upbit", base_url=f"http://127.0.0.1:{port}/x").on(machine)
    with pytest.raises(RetryLater, match=r"newest candle is not known.*vintage sandbox") as caught:
        exchange.newest(Instrument(name="KRW-SOL", symbol="KRW-SOL"), "1h", NOW)
    assert "is missing" not in str(caught.value)
    assert len(heard) == 2
    assert re.match(
        f"asking again 2 of 2 in . s after: the venue cannot be reached, .* 127.0.0.1:{port}",
        heard[1],
    )
    assert hands.passed < 5


@pytest.mark.parametrize("status", ["400 Bad", "401 No", "403 No", "404 Gone", "451 Law"])
@pytest.mark.parametrize("body", [b'{"error": 1}', b"<html>"])
def test_a_refusal_is_never_asked_again(
    served: Served, hands: Hands, status: str, body: bytes
) -> None:
    url = served(answer(status, body=body))
    with pytest.raises(ConfigError, match=f"HTTP {status[:3]}"):
        line_of(hands, url, timeout=5).get(url)


def test_a_stated_block_is_published(served: Served, hands: Hands) -> None:
    url = served(answer("429 Too Many", "Retry-After: 30\r\n"))
    with pytest.raises(Fault) as caught:
        line_of(hands, url, timeout=5).get(url)
    assert caught.value.until == NOW + pd.Timedelta(seconds=30)
    assert not caught.value.final
    RateBucket.of(f"{url}/other", 5, hands.machine).take(Deadline.after(hands.machine, 60))
    assert hands.passed >= 30


def test_a_rest_that_an_answer_asks_for_is_kept(served: Served, hands: Hands) -> None:
    url = served(answer())
    line = line_of(hands, url, timeout=5)
    line.judge = lambda came, now: 7.0
    line.get(url)
    line.get(url)
    assert hands.passed >= 7


@pytest.mark.parametrize(("ahead", "sound"), [(4, True), (-4, True), (7, False), (-7, False)])
def test_clocks_are_compared(served: Served, hands: Hands, ahead: float, sound: bool) -> None:
    url = served(answer(headers=date(NOW + pd.Timedelta(ahead, unit="s"))))
    line = line_of(hands, url, timeout=5)
    if not sound:
        with pytest.raises(Fault, match="clocks") as caught:
            line.get(url)
        assert "2025-12-20T00:00:00+00:00 here" in caught.value.found
        assert "set this machine's clock" in caught.value.fix
        with pytest.raises(Fault, match="clocks"):
            persist(lambda: line.get(url), line.deadline)
        assert len(served.heard) == 3
        return
    line.get(url)
    assert line.now() == NOW + pd.Timedelta(min(ahead, 0), unit="s")


def test_only_reading_is_possible_and_nothing_of_ours_is_told(
    served: Served, hands: Hands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    url = served(answer())
    line = line_of(hands, url, timeout=5)
    line.get(url, headers={"Origin": "https://example.com", "X-Kept": "yes"})
    told = served.heard[0].decode().lower()
    assert "x-kept: yes" in told
    assert "origin" not in told
    assert "authorization" not in told
    with pytest.raises(AssertionError, match="only read"):
        line.request("POST", url)


def test_an_answer_reads_its_headers() -> None:
    headers = {"Date": "Sat, 20 Dec 2025 00:00:00 GMT"}
    assert Answer(200, "", headers, b"").date == NOW
    assert Answer(200, "", {}, b"").date is None
    assert Answer(200, "", {"Retry-After": "1.5"}, b"").retry_after == 1.5
    later = {**headers, "Retry-After": "Sat, 20 Dec 2025 00:01:00 GMT"}
    assert Answer(200, "", later, b"").retry_after == 60
    zoneless = {**headers, "Retry-After": "Sat, 20 Dec 2025 00:01:00 -0000"}
    assert Answer(200, "", zoneless, b"").retry_after == 60
    for text in ("soon", "²", "-1", "1e9", ""):
        assert Answer(200, "", {"Retry-After": text}, b"").retry_after is None


@pytest.mark.parametrize("text", ["9" * 30, "Fri, 20 Dec 2999 00:00:00 GMT"])
def test_no_block_is_longer_than_the_longest(served: Served, hands: Hands, text: str) -> None:
    url = served(answer("429 Too Many", f"{date(NOW)}Retry-After: {text}\r\n"))
    with pytest.raises(Fault) as caught:
        line_of(hands, url, timeout=5).get(url)
    assert caught.value.until == NOW + pd.Timedelta(days=3)


def test_what_a_request_costs_is_waited_for_after_it(served: Served, hands: Hands) -> None:
    url = served(answer())
    line, moments = line_of(hands, url, timeout=5), []
    for cost in (None, 3.0, 0.1, 0.1):
        line.charge(cost)
        line.get(url)
        moments.append(hands.passed)
    line.get(url)
    waits = [later - sooner for sooner, later in pairwise([*moments, hands.passed])]
    assert waits == pytest.approx([0.2, 0.6, 0.2, 0.2], abs=1e-3)


def test_a_day_to_wait_is_told_at_once_and_names_its_end(served: Served, hands: Hands) -> None:
    url = served(answer("429 Too Many", "Retry-After: 86400\r\n"))
    exchange = Online(venue="upbit", base_url=url).on(hands.machine)
    market = Instrument(name="KRW-SOL", symbol="KRW-SOL")
    with pytest.raises(RetryLater, match="repeat after 2025-12-21T00:00:00") as caught:
        exchange.fetch(market, "1h", NOW - pd.Timedelta(hours=9), NOW)
    assert "2025-12-19T15:00:00+00:00 to 2025-12-19T23:00:00+00:00 is missing" in str(caught.value)
    assert hands.passed < 5
    assert len(served.heard) == 1
