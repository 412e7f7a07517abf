"""ccxt as a table of endpoints: no pacing, no retries, no paging and no connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import shorten
from typing import Any, TypeVar

from pipeline.errors import ConfigError, nearest
from pipeline.market.exchanges.faults import Fault, UnknownMarketError
from pipeline.market.exchanges.line import Line

Answered = TypeVar("Answered")
OFF = {"enableRateLimit": False, "maxRetriesOnFailure": 0, "enableLastHttpResponse": False}


def client(name: str, line: Line, urls: Mapping[str, str] | None = None) -> Any:
    """One ccxt exchange that asks through `line`, made once for all lines that share clients.

    Parameters
    ----------
    name
        ccxt's id.
    line
        Stands in for its session.
    urls
        Base addresses of sections, where they are not ccxt's own.

    Raises
    ------
    ConfigError
        When ccxt has no such exchange.
    """
    if name not in line.clients:
        made = exchange_class(name)(OFF)
        made.session.close()
        made.urls["api"] = {**made.urls["api"], **(urls or {})}
        line.clients[name] = made
    line.clients[name].session = line
    return line.clients[name]


def exchange_class(name: str) -> Any:
    """Find ccxt's class of an id.

    Raises
    ------
    ConfigError
        Naming the nearest id that ccxt has.
    """
    import ccxt

    if name not in ccxt.exchanges:
        close = nearest(name, ccxt.exchanges).partition(" Valid:")[0]
        raise ConfigError(
            f"ccxt has no exchange '{name}'",
            where="exchange.id",
            fix=close if close.startswith("did you") else "choose an id that ccxt lists",
        )
    return getattr(ccxt, name)


def asked(ask: Callable[[], Answered]) -> Answered:
    """Call ccxt; its errors become ours by whether they may pass.

    Raises
    ------
    Fault
        For the family of OperationFailed.
    UnknownMarketError
        For BadSymbol.
    ConfigError
        For every other error of ccxt: asking again would not help.
    """
    import ccxt

    try:
        return ask()
    except ccxt.OperationFailed as error:
        raise Fault("the venue could not answer", found=_told(error)) from None
    except ccxt.BadSymbol as error:
        raise UnknownMarketError(_told(error)) from None
    except ccxt.BaseError as error:
        raise ConfigError(
            "the venue refuses the request",
            found=_told(error),
            fix="correct the market's symbol, the timeframe or the exchange",
        ) from None


def _told(error: Exception) -> str:
    return shorten(f"{type(error).__name__}: {error}", 220, placeholder=" …")
