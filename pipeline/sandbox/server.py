"""The loopback exchange on a socket of 127.0.0.1, its loop in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.errors import ConfigError
from pipeline.sandbox.delivery import deliver
from pipeline.sandbox.exchange import Exchange, Request
from pipeline.sandbox.messages import VENUES, require_venue
from pipeline.sandbox.script import FaultScript
from pipeline.sandbox.world import World

if TYPE_CHECKING:
    from aiohttp import web

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running loopback exchange."""

    exchange: Exchange
    port: int
    stop: Callable[[], None]

    def url(self, venue: str) -> str:
        """Base URL of a venue, what ``exchange.base_url`` takes.

        Raises
        ------
        ConfigError
            When it speaks no such venue.
        """
        require_venue(venue)
        return f"http://{HOST}:{self.port}/{venue}"

    @property
    def requests(self) -> list[Request]:
        """Everything received since the script began, in order."""
        return list(self.exchange.requests)

    def play(self, script: FaultScript | None = None) -> None:
        """Begin anew with another script (None: no faults), as if just started."""
        self.exchange.play(script)

    def close(self) -> None:
        """Stop serving; a second time does nothing."""
        self.stop()


@contextmanager
def start_sandbox(
    world: World,
    script: FaultScript | None,
    clock: Callable[[], pd.Timestamp],
    *,
    port: int = 0,
    limited: bool = True,
) -> Iterator[Sandbox]:
    """Serve a world on 127.0.0.1 until the block ends.

    Parameters
    ----------
    world
        What is served.
    script
        Faults to play; None: none.
    clock
        The exchange's own clock (UTC); decides which candle is forming, and the Date header.
    port
        0: any that is free.
    limited
        Whether the venues' rate limits are enforced.

    Raises
    ------
    ConfigError
        When the port is taken.
    """
    serving = _Serving(Exchange(world, clock, limited), port)
    serving.exchange.play(script)
    thread = threading.Thread(target=serving.run, name="sandbox", daemon=True)
    thread.start()
    try:
        yield Sandbox(serving.exchange, serving.ready.result(), serving.stop)
    finally:
        serving.stop()
        thread.join()


@dataclass
class _Serving:
    exchange: Exchange
    port: int
    ready: Future[int] = field(default_factory=Future)
    loop: asyncio.AbstractEventLoop | None = None
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._serve())

    def stop(self) -> None:
        if self.loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self.loop.call_soon_threadsafe(self.closing.set)

    async def _serve(self) -> None:
        from aiohttp import web

        application = web.Application()
        application.router.add_get("/{venue}/{path:.*}", self._handle)
        runner = web.AppRunner(
            application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self.port).start()
            self.loop = asyncio.get_running_loop()
            self.ready.set_result(runner.addresses[0][1])
            await self.closing.wait()
        except OSError as error:
            self.ready.set_exception(_refused(error, self.port))
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        venue = request.match_info["venue"]
        if venue not in VENUES:
            raise web.HTTPNotFound(text=f"the loopback exchange speaks {', '.join(VENUES)}")
        path = request.match_info["path"]
        answer = self.exchange.answer(venue, path, request.query, request.headers)
        return await deliver(request, answer, self.closing)


def _refused(error: OSError, port: int) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"port {port} of {HOST} is taken, perhaps by another sandbox",
            where="--port",
            fix=f"stop that one, or choose another: --port {port + 1}",
        )
    return ConfigError(
        f"cannot serve on {HOST}",
        where="--port",
        found=f"{port}: {error.strerror}",
        fix="choose a port from 1024 to 65535",
    )
