"""How the loss fell while each fit was trained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.evaluation.report.charts import (
    Scale,
    around,
    columns,
    decimals,
    levels,
    line,
    share,
    stretched,
    svg,
    ticks,
)
from pipeline.evaluation.report.facts import Facts, HeadFacts
from pipeline.evaluation.report.figures import count, decimal, things
from pipeline.evaluation.report.layout import Place, figure, grid, lede, legend, section
from pipeline.evaluation.report.markup import Html, bare, tag

HEIGHT = 170
LEGEND = (
    ("curve training", "training rows"),
    ("curve validation", "validation rows, held out of the fit"),
    ("best", "the epoch that was kept"),
)


@dataclass(frozen=True, slots=True)
class Curves:
    """Losses of one part of one fit, one for each epoch; not a number where there is none."""

    fit: str
    part: str
    training: list[float]
    validation: list[float]
    best: int | None

    @property
    def epochs(self) -> int:
        """How many epochs there were."""
        return max(len(self.training), len(self.validation))


def learning(head: HeadFacts, place: Place) -> Html:
    """Loss curves of each fit."""
    found = list(_curves(head.training["fits"]))
    if not found:
        text = "Nothing in this model is trained epoch by epoch, so there are no loss curves."
        return section(place, "learning", "Learning", lede(text))
    return section(
        place,
        "learning",
        "Learning",
        lede(_finding(found)),
        tag("p", *_remarks(head, found)),
        figure(
            legend(LEGEND),
            grid((_chart(curves) for curves in found), "half"),
            caption="Upright: mean loss in nats, lower is better. Across: epochs, each one pass "
            "over the training rows. Every chart has its own scale.",
        ),
    )


def _curves(fits: Sequence[Facts]) -> Iterator[Curves]:
    for fit in fits:
        for part, facts in fit["parts"].items():
            training, validation = (
                [math.nan if loss is None else float(loss) for loss in facts.get(key) or []]
                for key in ("training_losses", "validation_losses")
            )
            if training or validation:
                yield Curves(fit["fit"], part, training, validation, facts.get("best_epoch"))


def _finding(found: Sequence[Curves]) -> str:
    epochs = [curves.epochs for curves in found]
    kept = [curves.best for curves in found if curves.best is not None]
    span = f"{min(epochs)} to {max(epochs)}" if min(epochs) < max(epochs) else f"{epochs[0]}"
    text = f"Training stopped after {span} {'epoch' if span == '1' else 'epochs'}"
    if not kept:
        return f"{text}."
    best = f"{min(kept)} to {max(kept)}" if min(kept) < max(kept) else f"{kept[0]}"
    which = "epochs" if min(kept) < max(kept) else "epoch"
    return f"{text}; what did best on rows held out of the fit was kept ({which} {best})."


def _remarks(head: HeadFacts, found: Sequence[Curves]) -> Iterator[str]:
    """What the curves do not say, and what their shape does."""
    drawn = dict.fromkeys(curves.part for curves in found)
    parts = dict.fromkeys(part for fit in head.training["fits"] for part in fit["parts"])
    if others := [part for part in parts if part not in drawn]:
        yield f"These are the curves of {', '.join(drawn)}; {', '.join(others)} has no epochs. "
    if by_heart := sum(map(_by_heart, found)):
        yield (
            f"In {by_heart} of {things(len(found), 'fit')} the training loss went on falling after "
            "that while the validation loss ended higher: it mostly learned its rows by heart. "
        )
    if head.constant:
        yield "Nothing of it reached the predictions: they are the same whatever the candle."


def _by_heart(curves: Curves) -> bool:
    training, validation, best = curves.training, curves.validation, curves.best
    if best is None or not 1 <= best <= min(len(training), len(validation)):
        return False
    return training[-1] < training[best - 1] and validation[-1] > validation[best - 1]


def _chart(curves: Curves) -> Html:
    scale = around([*curves.training, *curves.validation])
    epochs = Scale(1.0, max(curves.epochs, 2))
    values = ticks(scale, 4)
    texts = [decimal(value, decimals(values)) for value in values]
    marks = [value for value in ticks(epochs, 6) if value == int(value)]
    paths = stretched(
        *(
            line(*_points(losses, epochs, scale), kind)
            for kind, losses in (
                ("curve training", curves.training),
                ("curve validation", curves.validation),
            )
        )
    )
    return tag(
        "div",
        tag("p", f"{curves.fit} · ", bare(curves.part), class_="chart-title"),
        svg(
            f"Loss of {curves.part} in {curves.fit}: {_stopped(curves)}",
            levels(scale, values, texts),
            paths,
            _best(curves, epochs, scale),
            columns([epochs.at(value) for value in marks], [count(value) for value in marks]),
            height=HEIGHT,
        ),
        tag("p", _stopped(curves), class_="axis note"),
    )


def _points(
    losses: Sequence[float], epochs: Scale, scale: Scale
) -> tuple[list[float], list[float]]:
    return [epochs.at(1.0 + k) for k in range(len(losses))], [scale.at(loss) for loss in losses]


def _best(curves: Curves, epochs: Scale, scale: Scale) -> Html | None:
    losses = curves.validation or curves.training
    if curves.best is None or not 1 <= curves.best <= len(losses):
        return None
    loss = losses[curves.best - 1]
    if not math.isfinite(loss):
        return None
    x, y = share(epochs.at(curves.best)), share(1 - scale.at(loss))
    return tag(
        "g",
        tag("line", x1=x, x2=x, y1=0, y2="100%"),
        tag("circle", cx=x, cy=y, r=5),
        class_="best",
    )


def _stopped(curves: Curves) -> str:
    text = things(curves.epochs, "epoch")
    if curves.best is None:
        return text
    losses = curves.validation or curves.training
    inside = 1 <= curves.best <= len(losses)
    loss = f", loss {decimal(losses[curves.best - 1])}" if inside else ""
    return f"{text}; kept epoch {curves.best}{loss}"
