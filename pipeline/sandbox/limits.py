"""Rate limits as the venues enforce them, for all requests together (one address)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pandas as pd

from pipeline.sandbox import binance, bingx, upbit
from pipeline.sandbox.messages import TEXT, Answer, Ask, milliseconds


@dataclass
class Window:
    """What was spent in the last `seconds`, and blocks for those who do not stop.

    Parameters
    ----------
    most
        Weight that one window holds.
    seconds
        Length of the (sliding) window.
    patience
        Refusals in a row that are answered before a block begins.
    block
        Seconds of the first block; each further one lasts twice as long.
    """

    most: float
    seconds: float
    patience: int
    block: float
    spent: deque[tuple[float, float]] = field(default_factory=deque)
    refused: int = 0
    blocked_until: float = 0.0

    def take(self, at: float, weight: float = 1.0) -> float:
        """Spend a weight; 0 when it fits, else the seconds to wait (negative: blocked so long)."""
        if at < self.blocked_until:
            return at - self.blocked_until
        if self.used(at) + weight <= self.most:
            self.spent.append((at, weight))
            self.refused = 0
            return 0.0
        self.refused += 1
        if self.refused > self.patience:
            self.refused, self.blocked_until = 0, at + self.block
            self.block *= 2
            return at - self.blocked_until
        return max(self.spent[0][0] + self.seconds - at, 0.001)

    def used(self, at: float) -> float:
        """Weight of the window that ends now."""
        while self.spent and self.spent[0][0] <= at - self.seconds:
            self.spent.popleft()
        return sum(weight for _, weight in self.spent)


Limiter = Callable[[Ask, float, Callable[[], Answer]], Answer]


def limiters() -> dict[str, Limiter]:
    """Fresh limits, one for each venue."""
    return {"upbit": Upbit(), "bingx": Bingx(), "binance": Binance()}


@dataclass
class Upbit:
    """10 a second; 429, then 418 with the block's length; with an Origin header 1 in 10 s."""

    groups: dict[str, Window] = field(default_factory=dict)

    def __call__(self, ask: Ask, at: float, respond: Callable[[], Answer]) -> Answer:
        """Answer, or refuse; either way say what remains of this second."""
        group = "market" if ask.path == "v1/market/all" else "candles"
        browser = "Origin" in ask.headers
        key = "origin" if browser else group
        most, seconds = (1, 10) if browser else (10, 1)
        window = self.groups.setdefault(key, Window(most, seconds, patience=10, block=10))
        wait = window.take(at)
        if wait == 0:
            answer = respond()
        elif wait > 0:
            answer = Answer(raw=b"Too many API requests.", status=429, content_type=TEXT)
        else:
            answer = upbit_block(-wait)
        left = max(int(window.most - window.used(at)), 0)
        header = {"Remaining-Req": f"group={group}; min=600; sec={left}"}
        return replace(answer, headers=header | dict(answer.headers))


@dataclass
class Bingx:
    """500 in 10 s; then code 100410 with the moment of release, its status 200."""

    market: Window = field(default_factory=lambda: Window(500, 10, patience=0, block=10))

    def __call__(self, ask: Ask, at: float, respond: Callable[[], Answer]) -> Answer:
        """Answer, or refuse until a stated moment."""
        wait = self.market.take(at)
        return respond() if wait == 0 else bingx_block(ask.now, abs(wait))


@dataclass
class Binance:
    """2400 of weight a minute, which every answer tells; 429, then 418, both with Retry-After."""

    minute: Window = field(default_factory=lambda: Window(2400, 60, patience=10, block=120))

    def __call__(self, ask: Ask, at: float, respond: Callable[[], Answer]) -> Answer:
        """Answer, or refuse with Retry-After."""
        wait = self.minute.take(at, weight(ask))
        if wait == 0:
            answer = respond()
        else:
            answer = binance_refusal(wait) if wait > 0 else binance_block(ask.now, -wait)
        used = {"X-MBX-USED-WEIGHT-1M": str(int(self.minute.used(at)))}
        return replace(answer, headers=used | dict(answer.headers))


def weight(ask: Ask) -> float:
    """What Binance charges for a request: klines by their limit, all else 1.

    Examples
    --------
    >>> asks = [Ask("binance", binance.KLINES, {"limit": n}, pd.NaT) for n in ("9", "999", "1500")]
    >>> [weight(ask) for ask in asks]
    [1.0, 5.0, 10.0]
    """
    if ask.path != binance.KLINES:
        return 1.0
    text = ask.query.get("limit", "")
    limit = int(text) if text.isdigit() else binance.DEFAULT
    steps = ((100, 1.0), (500, 2.0), (1001, 5.0))
    return next((cost for below, cost in steps if limit < below), 10.0)


def upbit_block(seconds: float) -> Answer:
    """Upbit's 418, which states how long it lasts."""
    message = f"Too many requests. You are blocked for {max(round(seconds), 1)} seconds."
    return upbit.refusal(418, message, "too_many_requests")


def bingx_block(now: pd.Timestamp, seconds: float, status: int = 200) -> Answer:
    """BingX's 100410, which states the moment it ends."""
    until = milliseconds(now) + int(seconds * 1000)
    message = (
        "code:100410:The endpoint trigger frequency limit rule is currently in the disabled period "
        f"and will be unblocked after {until}"
    )
    return bingx.refusal(100410, message, status)


def binance_refusal(seconds: float) -> Answer:
    """Binance's 429."""
    message = (
        "Too many requests; current limit of IP(127.0.0.1) is 2400 requests per minute. "
        "Please use the websocket for live updates to avoid polling the API."
    )
    refused = binance.refusal(-1003, message, 429)
    return replace(refused, headers={"Retry-After": str(max(round(seconds), 1))})


def binance_block(now: pd.Timestamp, seconds: float) -> Answer:
    """Binance's 418."""
    until = milliseconds(now) + int(seconds * 1000)
    message = (
        f"Way too many requests; IP(127.0.0.1) banned until {until}. "
        "Please use the websocket for live updates to avoid bans."
    )
    refused = binance.refusal(-1003, message, 418)
    return replace(refused, headers={"Retry-After": str(max(round(seconds), 1))})
