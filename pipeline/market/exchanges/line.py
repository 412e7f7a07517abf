"""The line to one venue: every request gets a permit, ends in time, and is judged.

It stands in for the HTTP session of ccxt and pyupbit, whose own time limits do not hold against
a body that drips and whose own pacing is per process. A request runs in a thread that is left
behind when its time is over; nothing is read from the environment but proxies and certificates.
"""

from __future__ import annotations

import queue
import textwrap
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from pipeline.errors import ConfigError, VintageError
from pipeline.market.exchanges.answer import OK, SERVER_ERROR, Answer
from pipeline.market.exchanges.faults import Fault, UnknownMarketError, garbage, stated_block
from pipeline.market.exchanges.machine import Deadline, Machine
from pipeline.market.exchanges.rate_bucket import RateBucket

CHUNK, LARGEST = 65_536, 32 * 2**20  # bytes
TOO_MANY, BANNED = 429, 418
REFUSED, PASSING = {401, 403, 451}, {408, 425}
FIRST_BLOCK = {TOO_MANY: 1.0, BANNED: 60.0}  # seconds, where the venue states none
LOOPBACK = ("http://127.0.0.1", "http://localhost", "http://[::1]")
NEAR = "127.0.0.1,localhost,::1"
CLOCK_ATTEMPTS = 2  # one answer may lie; a wrong clock stays wrong
NEAR_ATTEMPTS = 3  # nobody listens on this machine: waiting starts nothing
SHOWN = 200  # characters of what the system said
Judge = Callable[[Answer, pd.Timestamp], float]


@dataclass(slots=True)
class Line:
    """What one download asks a venue through; stands for a session of requests."""

    rate: float
    judge: Judge
    deadline: Deadline
    timeout: float
    max_skew: float
    base_url: str
    skew: float = 0.0
    cost: float = 1.0
    last: Answer | None = None
    raised: Exception | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    clients: dict[str, Any] = field(default_factory=dict)
    session: Any = None

    @property
    def machine(self) -> Machine:
        """The host."""
        return self.deadline.machine

    def now(self) -> pd.Timestamp:
        """The earlier of the host's clock and the venue's."""
        return self.machine.now() + pd.Timedelta(min(0.0, self.skew), unit="s")

    def charge(self, cost: float | None = None) -> None:
        """Say what the next request costs: so many times a plain one, never less than it."""
        self.cost = max(1.0, cost or 1.0)

    def bucket(self, url: str) -> RateBucket:
        """The budget that a request to that address is taken from."""
        return RateBucket.of(url, self.rate, self.machine)

    def get(self, url: str, **options: Any) -> Answer:
        """Ask with GET; `options` as of requests."""
        return self.request("GET", url, **options)

    def request(self, method: str, url: str, **options: Any) -> Answer:
        """Ask once.

        Raises
        ------
        Fault
            When no sound answer came in time.
        """
        self.last = self.raised = None
        try:
            return self._asked(method, url, options)
        except (Fault, UnknownMarketError, VintageError) as error:
            if isinstance(error, Fault) and error.block is not None:
                error.until = self.bucket(url).block(error.block)
            self.raised = error
            raise

    def close(self) -> None:
        """End the connections; a request that was left behind ends by itself."""
        if self.session is not None:
            self.session.close()
            self.session = None

    def _asked(self, method: str, url: str, options: dict[str, Any]) -> Answer:
        if method != "GET":
            raise AssertionError(f"{method} {url}: candles are only read")
        session = self.session = self.session or _session()
        cost, self.cost = self.cost, 1.0
        self.bucket(url).take(
            self.deadline, cost
        )  # last of all: what comes after delays the request
        seconds = min(self.timeout, self.deadline.left)
        try:
            answer = _within(
                seconds, url, lambda gone: _whole(session, url, options, seconds, gone)
            )
        except Fault:
            self.close()  # the next request gets a connection of its own
            raise
        self.last = answer
        self._compare_clocks(answer)
        if rest := self._judge(answer):
            self.bucket(url).block(rest)
        return answer

    def _compare_clocks(self, answer: Answer) -> None:
        date = answer.date
        if date is None:
            return
        here = self.machine.now()
        self.skew = (date - here).total_seconds()
        if abs(self.skew + 0.5) > self.max_skew + 0.5:
            raise Fault(
                "the clocks of this machine and of the venue differ by more than "
                f"exchange.max_clock_skew_seconds ({self.max_skew:g})",
                found=f"{here.floor('s').isoformat()} here, {date.isoformat()} there",
                fix="set this machine's clock; vintage doctor looks at it",
            ).at_most(CLOCK_ATTEMPTS)

    def _judge(self, answer: Answer) -> float:
        status, now = answer.status_code, self.machine.now()
        if status in FIRST_BLOCK:
            stated = answer.retry_after or stated_block(answer.text, now)
            what = "the rate limit is exceeded" if status == TOO_MANY else "this address is blocked"
            raise Fault(what, found=f"HTTP {status}", block=stated or FIRST_BLOCK[status])
        if status >= SERVER_ERROR or status in PASSING:
            raise Fault(
                "the venue is not available", found=f"HTTP {status}", block=answer.retry_after
            )
        if status in REFUSED:
            raise _unwelcome(answer, self.base_url)
        if status != OK and answer.ok:
            raise _moved(answer)
        if not answer.ok and not answer.is_json:
            raise _refused(answer, self.base_url)
        answer.json()
        rest = self.judge(answer, now)
        if not answer.ok:
            raise _refused(answer, self.base_url)
        return rest


def _refused(answer: Answer, base_url: str) -> ConfigError:
    return ConfigError(
        "the venue refuses the request",
        where=base_url,
        found=f"HTTP {answer.status_code}, {garbage('', answer.text).found}",
        fix="correct the market's symbol, the timeframe or exchange.base_url",
    )


def _unwelcome(answer: Answer, base_url: str) -> ConfigError:
    return ConfigError(
        "the venue refuses to serve this address or region",
        where=base_url,
        found=f"HTTP {answer.status_code}",
        fix="ask from an allowed address, or choose another exchange",
    )


def _moved(answer: Answer) -> Fault:
    found = f"HTTP {answer.status_code} {answer.headers.get('Location', '')}"
    return Fault("the venue sends us elsewhere", found=found.strip())


def _session() -> Any:
    import requests

    session = requests.Session()
    session.auth = lambda request: request  # so that no .netrc is read
    return session


def _within(seconds: float, url: str, ask: Callable[[threading.Event], Answer]) -> Answer:
    gone = threading.Event()
    box: queue.SimpleQueue[Answer | Exception] = queue.SimpleQueue()
    threading.Thread(target=lambda: box.put(_caught(url, ask, gone)), daemon=True).start()
    try:
        came = box.get(timeout=seconds)
    except queue.Empty:
        gone.set()
        raise Fault("no whole answer came in time", found=f"{seconds:g} s") from None
    if isinstance(came, Exception):
        raise came
    return came


def _caught(
    url: str, ask: Callable[[threading.Event], Answer], gone: threading.Event
) -> Answer | Exception:
    from http.client import HTTPException

    from requests import RequestException
    from urllib3.exceptions import HTTPError

    try:
        return ask(gone)
    except (RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
        return _unreachable(error, url)
    except Fault as fault:
        return fault


def _unreachable(error: BaseException, url: str) -> Fault:
    from urllib.parse import urlsplit

    cause = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    what = "the venue cannot be reached"
    told = getattr(cause, "strerror", None) or f"{type(cause).__name__}: {cause}"
    found = textwrap.shorten(f"{told}, {urlsplit(url).netloc}", SHOWN, placeholder=" …")
    if isinstance(cause, ConnectionRefusedError) and url.startswith(LOOPBACK):
        fix = "start what should answer there: vintage sandbox, or correct exchange.base_url"
        return Fault(what, found=found, fix=fix).at_most(NEAR_ATTEMPTS)
    return Fault(what, found=found)


def _whole(
    session: Any, url: str, options: dict[str, Any], seconds: float, gone: threading.Event
) -> Answer:
    headers = {
        name: told
        for name, told in (options.get("headers") or {}).items()
        if name.lower() != "origin"  # with it, Upbit allows one request in ten seconds
    }
    response = session.get(
        url,
        params=options.get("params"),
        headers=headers,
        timeout=max(seconds, 0.001),
        proxies={"no_proxy": NEAR} if url.startswith(LOOPBACK) else None,
        stream=True,
        allow_redirects=False,
    )
    body = bytearray()
    with response:
        while part := response.raw.read1(CHUNK, decode_content=True):
            body += part
            if gone.is_set() or len(body) > LARGEST:
                raise Fault("the answer is too long", found=f"more than {len(body)} bytes")
    return Answer(response.status_code, response.reason, response.headers, bytes(body))
