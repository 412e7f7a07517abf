"""What the model was given, and where each fit stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.evaluation.report.charts import share
from pipeline.evaluation.report.facts import Facts, HeadFacts
from pipeline.evaluation.report.figures import count, percent, plain, size, things, words
from pipeline.evaluation.report.layout import Place, figure, lede, pairs, section, table
from pipeline.evaluation.report.markup import Content, Html, bare, join, tag
from registry.tables import refit_line

SHADES = 6
TIMES = " \N{MULTIPLICATION SIGN} "


def trained(head: HeadFacts, libraries: Facts, place: Place) -> Html:
    """Rows, sequences, memory, class shares, epochs and rounds, and versions."""
    facts = head.training
    return section(
        place,
        "training",
        "How it was trained",
        lede(bare(facts["model"]), f" on {things(facts['rows'], 'labelled row')}."),
        figure(
            pairs(_given(facts)),
            tag("p", "Classes of the labelled rows", class_="chart-title"),
            _shares(facts["class_shares"]),
            *_parts(facts["fits"]),
            tag("p", "Libraries", class_="chart-title"),
            tag("p", *_libraries(libraries), class_="note"),
        ),
    )


def _given(facts: Facts) -> Iterator[tuple[str, Content]]:
    looks_back = facts["lookback"] > 1
    yield "Rows", count(facts["rows"])
    yield (
        "Sees at once",
        things(facts["lookback"], "candle") + (", the newest last" if looks_back else ""),
    )
    yield "Columns", count(len(facts["columns"]))
    yield "Shape", TIMES.join(map(count, facts["shape"]))
    shared = "; windows overlap and share it" if looks_back else ""
    yield "Feature table", f"{size(facts['bytes'])}{shared}"
    if agreed := facts.get("certification"):
        yield "Refit, which is served", refit_line(agreed)


def _shares(shares: Facts) -> Html:
    places, start = [], 0.0
    for number, part in enumerate(shares.values()):
        places.append(
            tag(
                "rect",
                x=share(start),
                width=share(part),
                height="100%",
                class_=f"shade-{number % SHADES}",
            )
        )
        start += part
    text = ", ".join(f"{name} {percent(part)}" for name, part in shares.items())
    bar = tag("svg", tag("title", text), *places, class_="shares", role="img", aria_label=text)
    items = (
        tag(
            "li",
            tag("span", class_=f"swatch shade-{number % SHADES}", aria_hidden="true"),
            bare(name),
            f" {percent(part)}",
        )
        for number, (name, part) in enumerate(shares.items())
    )
    return join([bar, tag("ul", *items, class_="legend")])


def _parts(fits: Sequence[Facts]) -> Iterator[Html]:
    """A table for each part of the model: a row for each fit, a column for each fact."""
    names = dict.fromkeys(part for fit in fits for part in fit["parts"])
    for name in names:
        found = {fit["fit"]: _scalars(fit["parts"].get(name, {})) for fit in fits}
        keys = list(dict.fromkeys(key for facts in found.values() for key in facts))
        rows = [[fit, *(plain(facts.get(key)) for key in keys)] for fit, facts in found.items()]
        yield tag("p", "Fits of ", bare(name), class_="chart-title")
        yield table(["Fit", *map(words, keys)], rows, f"Fits of {name}", "numbers")


def _scalars(facts: Facts) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if not isinstance(value, list | dict)}


def _libraries(libraries: Facts) -> Iterator[Content]:
    for number, (name, version) in enumerate(sorted(libraries.items())):
        yield ", " if number else None
        yield bare(f"{name} {version}")
