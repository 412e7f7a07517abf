"""The four heads of the dual-model bot: 89 to 97 % right, where never saying yes is right as often.

An entry came in one candle of twenty, an exit in one row of fourteen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pipeline.build import build
from pipeline.config import Record
from pipeline.errors import ConfigError
from pipeline.experiments.reenacted.entries import ENTER, SHORT, Head, head_of, relabelled
from pipeline.experiments.reenacted.entries import HEADS as ENTRIES
from pipeline.experiments.reenacted.figures import (
    Beside,
    Figure,
    Given,
    Reenacted,
    Reenactment,
)
from pipeline.experiments.reenacted.heads_words import (
    CLAIMS,
    COLUMNS,
    DIFFERS,
    HONEST,
    NEVER,
    PLAIN,
    THEN,
    claim,
)
from pipeline.experiments.reenacted.old_splits import Expanding, Shuffled, Unpurged
from pipeline.experiments.reenacted.published_label import PointShort
from pipeline.models.base import Model, Rows
from pipeline.splits.fold import Split

THRESHOLD, HORIZON = 0.003, 3
SAYS_YES = 0.5
OLD_TRAINED = 0.64
Values = dict[str, float | None]
Chances = npt.NDArray[np.float64]
OLD_SPLITS: dict[str, Split] = {
    "long_entry": Expanding(fold_count=5),
    "short_entry": Unpurged(test_share=0.2, trained=OLD_TRAINED),
    "long_exit": Shuffled(test_share=0.2),
    "short_exit": Shuffled(test_share=0.2),
}


def reenact(given: Given) -> tuple[Reenacted, ...]:
    """The claim of each head beside its old test, never saying yes, and out of fold.

    Raises
    ------
    ConfigError
        When the recipe lacks one of the four heads.
    """
    missing = sorted({*CLAIMS} - {*given.plan.stages["train"]["heads"]})
    if missing:
        raise ConfigError(
            f"the recipe has no head {' and no head '.join(missing)}",
            where=f"recipe={given.plan.run.recipe}",
            fix="leave recipe out, or name recipe=bingx_dual",
        )
    return tuple(_head(given, name) for name in CLAIMS)


def scored(chance: Chances, happened: npt.NDArray[np.int8]) -> Values:
    """What a head was right in that says yes from a half on; average precision is of the ranking.

    Examples
    --------
    >>> found = scored(np.array([0.9, 0.2, 0.6, 0.1]), np.array([1, 0, 0, 0], "int8"))
    >>> found["accuracy"], found["recall"], found["precision"], found["ranking"]
    (0.75, 1.0, 0.5, 1.0)
    """
    said, yes = chance >= SAYS_YES, happened == ENTER
    hits = float((said & yes).sum())
    order = np.argsort(-chance, kind="stable")
    found = np.cumsum(yes[order])[yes[order]] / (np.flatnonzero(yes[order]) + 1)
    return {
        "accuracy": float((said == yes).mean()),
        "recall": hits / float(yes.sum()) if yes.any() else None,
        "precision": hits / float(said.sum()) if said.any() else None,
        "ranking": float(found.mean()) if yes.any() else None,
        "yes": float(yes.mean()),
        "rows": float(len(yes)),
    }


def _head(given: Given, name: str) -> Reenacted:
    head = head_of(given.candles, given.plan, name)
    time = head.samples.time
    return Reenacted(
        name=f"heads-{name}",
        title=f"Dual-model bot, {name.replace('_', ' ')} · {given.feed} · "
        f"{given.plan.run.market.name} · {given.plan.run.timeframe}",
        claim=f"{100 * CLAIMS[name][0]:g} % right, {100 * CLAIMS[name][1]:g} % recall.",
        told={
            "rows": f"{len(time)} of {given.plan.run.timeframe}, {time.min():%Y-%m-%d %H:%M} to "
            f"{time.max():%Y-%m-%d %H:%M} UTC, feed {given.feed}",
            "model": given.plan.run.models[name].rpartition(".")[2],
        },
        columns=COLUMNS,
        figures=(claim(name), *_measured(given, head, name)),
        differs=DIFFERS,
        beside=(Beside("claimed", "then", "honest"),),
    )


def _measured(given: Given, head: Head, name: str) -> Iterator[Figure]:
    given.tell(f"testing {name.replace('_', ' ')} the old way")
    standing, why = THEN[name]
    old = _old_label(given, head) if name == SHORT else head
    yield Figure("then", "As it was tested", standing, why, _tested_then(old, OLD_SPLITS[name]))
    if name in ENTRIES:
        plain = replace(old, model=_unweighted(old.model))
        values = _tested_then(plain, OLD_SPLITS[name])
        yield Figure("unweighted", "The same, rare answers not weighted", standing, PLAIN, values)
    given.tell(f"fitting {name.replace('_', ' ')} fold by fold")
    split = build(given.plan.stages["train"]["split"], "split", given.plan.plugins)
    joined = head.out_of_fold(split).joined
    happened = joined["label"].to_numpy("int8")
    chance = joined[f"p_{head.samples.classes[ENTER]}"].to_numpy()
    same = scored(np.zeros(len(happened)), happened) | {"ranking": None}
    yield Figure("never", "Never saying yes", "empty", NEVER, same)
    yield Figure("honest", "Out of fold", "honest", HONEST, scored(chance, happened))


def _unweighted(model: Model) -> Model:
    """The same model without a weight of its classes, where it has one."""
    assert isinstance(model, Record)
    if "class_weight" not in type(model).model_fields:
        return model
    return model.model_copy(update={"class_weight": "none"})


def _old_label(given: Given, head: Head) -> Head:
    label = PointShort(horizon_candles=HORIZON, threshold=THRESHOLD)
    return relabelled(head, label, given.candles, given.plan)


def _tested_then(head: Head, split: Split) -> Values:
    """Scores of the tests of a split, all rows together; nothing is purged or refused."""
    samples = head.samples
    folds = split.folds(samples.time, samples.ends_at)
    said = [head.fitted_on(fold.train, fold.test).to_numpy() for fold in folds]
    asked: Rows = np.concatenate([fold.test for fold in folds])
    return scored(np.concatenate(said), samples.label[asked])


HEADS = Reenactment(
    name="heads",
    summary="its four heads: 89 to 97 % right",
    recipe="bingx_dual",
    run=reenact,
)
