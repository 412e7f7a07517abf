"""How an answer travels: whole, byte by byte, cut off, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import TYPE_CHECKING

from pipeline.sandbox.messages import Answer

if TYPE_CHECKING:
    from aiohttp import web


async def deliver(
    request: web.Request, answer: Answer, closing: asyncio.Event
) -> web.StreamResponse:
    """Send an answer; what lasts ends when the client goes or `closing` is set."""
    from aiohttp import web

    headers = {name: text for name, text in answer.headers.items() if text}
    headers["Content-Type"] = answer.content_type
    if answer.delivery == "reset":
        return _reset(request)
    if answer.delivery == "hang":
        await closing.wait()
    if answer.delivery in ("hang", "plain"):
        return web.Response(body=answer.body, status=answer.status, headers=headers)
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = len(answer.body)
    await response.prepare(request)
    if answer.delivery == "drip":
        await _drip(response, answer, closing)
    else:
        await response.write(answer.body[: len(answer.body) // 2])
        _leave(request)
    return response


async def _drip(response: web.StreamResponse, answer: Answer, closing: asyncio.Event) -> None:
    for byte in answer.body:
        await response.write(bytes([byte]))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), answer.seconds)
            return


def _leave(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


def _reset(request: web.Request) -> web.StreamResponse:
    import socket

    from aiohttp import web

    if request.transport is not None:
        linger = struct.pack("ii", 1, 0)  # on, 0 seconds: close sends RST
        peer = request.transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        request.transport.abort()
    return web.Response()
