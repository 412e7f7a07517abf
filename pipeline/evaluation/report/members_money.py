"""What trading each member of a pool came to, after costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.evaluation.pooled_trading import PooledTrading
from pipeline.evaluation.report.figures import GAP, count, percent, words
from pipeline.evaluation.report.layout import Place, figure, lede, section, table
from pipeline.evaluation.report.markup import Content, Html, bare, tag
from pipeline.evaluation.trading_words import rules

TITLE = "After costs"
CAPTION = (
    "Each market is traded with an account of its own, on candles that the models were not trained "
    "on; no signal of one moves money of another. Held: bought at the first open and sold at the "
    "last close."
)


def members_money(trading: PooledTrading, place: Place) -> Html:
    """Return, drawdown and trades of each member beside buying and holding it."""
    told = trading.facts()
    if not told["traded"]:
        return section(place, "money", TITLE, lede(f"Nothing was traded: {told['why_not']}."))
    members: dict[str, Any] = told["members"]
    costs = list(next(iter(members.values()))["costs"])
    header = ("Market", "Trades", *(f"Costs {name}" for name in costs), "Held", "Drawdown")
    together = told["together"]
    return section(
        place,
        "money",
        TITLE,
        lede(_finding(together, trading)),
        tag("ul", *_warnings(members), class_="flags"),
        figure(
            table(header, _rows(members), "Each market after costs", "numbers"),
            caption=_caption(members),
        ),
    )


def _caption(members: dict[str, Any]) -> str:
    told = rules(next(iter(members.values()))["profile"]).replace(" %", f"{GAP}%")
    return f"{words(told)}. {CAPTION}"


def _finding(together: dict[str, float], trading: PooledTrading) -> str:
    came, held = together["net_return"], float(trading.curve["buy_and_hold"].iloc[-1]) - 1.0
    beside = f"holding all of them came to {percent(held, signed=True)}, staying out to nothing."
    if not together["trades"]:
        return f"No probability reached its threshold, so nothing was traded; {beside}"
    word = "earned" if came >= 0 else "lost"
    return (
        f"Shared out equally over {count(len(trading.members))} accounts it {word} "
        f"{percent(abs(came))} after costs; {beside}"
    )


def _warnings(members: dict[str, Any]) -> Iterator[Html]:
    for sentence in dict.fromkeys(each for of in members.values() for each in of["flags"].values()):
        names = [name for name, of in members.items() if sentence in of["flags"].values()]
        yield tag("li", bare(", ".join(names)), f": {sentence}")


def _rows(members: dict[str, Any]) -> Iterator[list[Content]]:
    for name, of in members.items():
        first = next(iter(of["costs"].values()))
        yield [
            bare(name),
            count(first["trades"]),
            *(percent(each["total_return"], 2, signed=True) for each in of["costs"].values()),
            percent(of["baselines"]["buy_and_hold"]["total_return"], 2, signed=True),
            percent(first["drawdown"], 2),
        ]
