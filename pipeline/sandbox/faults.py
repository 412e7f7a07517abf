"""Everything that a venue is known to do wrong, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import pandas as pd

from pipeline.sandbox import limits, rows, upbit
from pipeline.sandbox.messages import TEXT, VENUES, Answer, Ask, Delivery, Respond, milliseconds

BLOCK_SECONDS = 3.0
DRIP_SECONDS = 0.5
SKEW = pd.Timedelta(minutes=10)
OVERLAP = 5
KEPT = 100
_MAINTENANCE = b"<!DOCTYPE html><html><body><h1>Service temporarily unavailable</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a fault does, in words and in code; `venues` are those that do it."""

    summary: str
    play: Callable[[Ask, Respond], Answer]
    venues: tuple[str, ...] = VENUES


def _instead(answer: Answer) -> Callable[[Ask, Respond], Answer]:
    return lambda _ask, _respond: answer


def _html(status: int) -> Callable[[Ask, Respond], Answer]:
    return _instead(Answer(raw=_MAINTENANCE, status=status, content_type="text/html"))


def _delivered(delivery: Delivery, seconds: float = 0.0) -> Callable[[Ask, Respond], Answer]:
    return lambda ask, respond: replace(respond(ask), delivery=delivery, seconds=seconds)


def _rows(change: Callable[[list[Any]], list[Any]]) -> Callable[[Ask, Respond], Answer]:
    def play(ask: Ask, respond: Respond) -> Answer:
        answer = respond(ask)
        return rows.with_rows(answer, change(answer.rows)) if answer.rows else answer

    return play


def _refused(ask: Ask, _respond: Respond) -> Answer:
    answers = {
        "upbit": upbit.refusal(429, "Too many API requests.", "too_many_requests"),
        "bingx": limits.bingx_block(ask.now, BLOCK_SECONDS, status=429),
        "binance": limits.binance_refusal(BLOCK_SECONDS),
    }
    return answers[ask.venue]


def _banned(ask: Ask, _respond: Respond) -> Answer:
    answers = {
        "upbit": limits.upbit_block(BLOCK_SECONDS),
        "bingx": limits.bingx_block(ask.now, BLOCK_SECONDS, status=418),
        "binance": limits.binance_block(ask.now, BLOCK_SECONDS),
    }
    return answers[ask.venue]


def _busy(ask: Ask, _respond: Respond) -> Answer:
    return limits.bingx_block(ask.now, BLOCK_SECONDS)


def _truncated(ask: Ask, respond: Respond) -> Answer:
    answer = respond(ask)
    return replace(answer, raw=answer.body[: len(answer.body) * 2 // 3])


def _repeated(ask: Ask, respond: Respond) -> Answer:
    return ask.previous or respond(ask)


def _overlapping(ask: Ask, respond: Respond) -> Answer:
    more = OVERLAP * rows.step_of(ask)
    query = dict(ask.query)
    if "to" in query:
        query["to"] = (upbit.read_to(query["to"]) + more).strftime("%Y-%m-%dT%H:%M:%SZ")
    elif "startTime" in query:
        start = pd.Timestamp(int(query["startTime"]), unit="ms", tz="UTC") - more
        query["startTime"] = str(milliseconds(start))
    elif "endTime" in query:
        end = pd.Timestamp(int(query["endTime"]), unit="ms", tz="UTC") + more
        query["endTime"] = str(milliseconds(end))
    return respond(replace(ask, query=query))


def _ignored_cursor(ask: Ask, respond: Respond) -> Answer:
    cursors = ("to", "startTime", "endTime")
    query = {name: text for name, text in ask.query.items() if name not in cursors}
    return respond(replace(ask, query=query))


def _newest_only(ask: Ask, respond: Respond) -> Answer:
    oldest, query = ask.now - KEPT * rows.step_of(ask), dict(ask.query)
    if "startTime" in query:
        query["startTime"] = str(max(int(query["startTime"]), milliseconds(oldest)))
    answer = respond(replace(ask, query=query))
    kept = [row for row in answer.rows if rows.opened(ask.venue, row) >= oldest]
    return rows.with_rows(answer, kept) if answer.rows else answer


def _jumping(ask: Ask, respond: Respond) -> Answer:
    factor = 1.05 if ask.turn % 2 else 0.95
    return rows.change_forming(respond(ask), ask, lambda row: [rows.scaled(ask.venue, row, factor)])


def _no_forming(ask: Ask, respond: Respond) -> Answer:
    return rows.change_forming(respond(ask), ask, lambda _: [])


def _revised(ask: Ask, respond: Respond) -> Answer:
    return rows.change_newest_closed(
        respond(ask), ask, lambda row: rows.scaled(ask.venue, row, 1.01)
    )


def _impossible(ask: Ask, respond: Respond) -> Answer:
    return rows.change_newest_closed(respond(ask), ask, lambda row: rows.turned(ask.venue, row))


def _other_instrument(ask: Ask, respond: Respond) -> Answer:
    answer = respond(ask)
    return rows.with_rows(answer, [rows.scaled(ask.venue, row, 2) for row in answer.rows])


def _clock(by: pd.Timedelta) -> Callable[[Ask, Respond], Answer]:
    return lambda ask, respond: respond(replace(ask, now=ask.now + by))


def _header(text: str) -> Callable[[Ask, Respond], Answer]:
    def play(ask: Ask, respond: Respond) -> Answer:
        answer = respond(ask)
        return replace(answer, headers=dict(answer.headers) | {"Remaining-Req": text})

    return play


_ONLY_UPBIT, _ONLY_BINGX = ("upbit",), ("bingx",)

FAULTS: Mapping[str, Behaviour] = MappingProxyType(
    {
        "rate_limited": Behaviour(
            "429, the body plain text",
            _instead(Answer(raw=b"Too Many Requests", status=429, content_type=TEXT)),
        ),
        "rate_limited_envelope": Behaviour("429, the body the venue's JSON envelope", _refused),
        "banned": Behaviour("418 with the length of the block (3 s)", _banned),
        "busy": Behaviour(
            "200 with code 100410: limited until a stated moment", _busy, _ONLY_BINGX
        ),
        "error_500": Behaviour("500 with a page of HTML", _html(500)),
        "error_502": Behaviour("502 with a page of HTML", _html(502)),
        "error_503": Behaviour("503 with a page of HTML", _html(503)),
        "html": Behaviour("200 with a page of HTML: maintenance", _html(200)),
        "truncated_json": Behaviour("200, the JSON ends in the middle", _truncated),
        "empty_body": Behaviour("200 without a byte", _instead(Answer(raw=b""))),
        "empty_list": Behaviour("200, a page without rows", _rows(lambda _: [])),
        "null_rows": Behaviour(
            "200, every row null", _rows(lambda page: [rows.nulled(row) for row in page])
        ),
        "hang": Behaviour("no answer until the client gives up", _delivered("hang")),
        "slow_drip": Behaviour("one byte each half second", _delivered("drip", DRIP_SECONDS)),
        "reset": Behaviour("the connection is reset", _delivered("reset")),
        "cut_off": Behaviour("the connection ends in the middle of the body", _delivered("cut")),
        "short_page": Behaviour(
            "the second half of the page is missing", _rows(lambda page: page[: len(page) // 2])
        ),
        "lost_row": Behaviour(
            "one row in the middle of the page is missing",
            _rows(lambda page: page[: len(page) // 2] + page[len(page) // 2 + 1 :]),
        ),
        "duplicated_rows": Behaviour(
            "every row twice", _rows(lambda page: [row for row in page for _ in range(2)])
        ),
        "repeated_page": Behaviour("the page before once more", _repeated),
        "reordered_page": Behaviour(
            "rows out of order", _rows(lambda page: page[1::2] + page[::2])
        ),
        "overlapping_page": Behaviour("the page reaches 5 candles past its bound", _overlapping),
        "ignored_cursor": Behaviour("the newest page, whatever was asked", _ignored_cursor),
        "newest_only": Behaviour(
            "candles older than the newest 100 of their timeframe are not served", _newest_only
        ),
        "jumping_forming": Behaviour("the forming candle jumps by 5 % and back", _jumping),
        "no_forming": Behaviour("the forming candle is left out", _no_forming),
        "revised_candle": Behaviour("the newest closed candle has prices 1 % higher", _revised),
        "impossible_candle": Behaviour("the newest closed candle's high is its low", _impossible),
        "other_instrument": Behaviour("every price is doubled", _other_instrument),
        "clock_ahead": Behaviour("the venue's clock is 10 minutes ahead", _clock(SKEW)),
        "clock_behind": Behaviour("the venue's clock is 10 minutes behind", _clock(-SKEW)),
        "no_header": Behaviour("no Remaining-Req header", _header(""), _ONLY_UPBIT),
        "strange_header": Behaviour(
            "a Remaining-Req header of another spelling",
            _header("group=quotation.candle; min=600; sec=9"),
            _ONLY_UPBIT,
        ),
    }
)
