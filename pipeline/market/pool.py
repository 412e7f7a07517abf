"""Several markets that one model is trained on at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from pipeline.config import Record
from pipeline.errors import ConfigError, nearest
from pipeline.market.exchanges.base import Instrument, Market

MEMBERS = "members"


class Instruments(Record):
    """What an exchange must know to find the candles of each member of a pool."""

    name: str
    members: tuple[Instrument, ...]


class Pool(Record):
    """Markets of one exchange that share a model; each is traded on its own.

    The members stand in order of their names, whatever order they were given in, so that no
    figure follows from it.
    """

    name: Annotated[str, Field(pattern=r"^[A-Z0-9]+-[A-Z0-9]+$")]
    exchange: str
    source: str
    members: Annotated[tuple[Market, ...], Field(min_length=2)]

    @field_validator(MEMBERS)
    @classmethod
    def _in_order(cls, members: tuple[Market, ...]) -> tuple[Market, ...]:
        names = [member.name for member in members]
        if len({*names}) < len(names):
            raise ValueError("a member is named twice")
        return tuple(sorted(members, key=lambda member: member.name))

    @model_validator(mode="after")
    def _of_one_exchange(self) -> Pool:
        others = [each.name for each in self.members if each.exchange != self.exchange]
        if others:
            raise ValueError(f"not of the exchange {self.exchange}: {', '.join(others)}")
        return self

    @property
    def instrument(self) -> Instruments:
        """The part that the members' candles depend on."""
        return Instruments(
            name=self.name, members=tuple(member.instrument for member in self.members)
        )


AnyMarket = Market | Pool


def parse_market(node: Mapping[str, Any], where: str) -> AnyMarket:
    """Read a market, or a pool where it names members.

    Raises
    ------
    ConfigError
        Naming each bad key.
    """
    return (Pool if MEMBERS in node else Market).parse(node, where)


def member_of(market: AnyMarket, name: str) -> Market:
    """One member of a pool; a market is its own only member.

    Raises
    ------
    ConfigError
        When there is no such member.
    """
    for member in market.members:
        if member.name == name:
            return member
    raise ConfigError(
        f"{name} is no member of {market.name}",
        fix=nearest(name, [member.name for member in market.members]),
    )


def only_market(market: AnyMarket) -> Market:
    """The market itself.

    Raises
    ------
    ConfigError
        When it is a pool.
    """
    if isinstance(market, Market):
        return market
    raise ConfigError(
        f"{market.name} is several markets, and one is asked for",
        fix=f"name one of them: market={' or market='.join(each.name for each in market.members)}",
    )
