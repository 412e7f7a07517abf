"""Hours cut in two ways, answers copied from a neighbour, and what was right of any answers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.experiments.reenacted.old_network import Cut
from pipeline.experiments.reenacted.old_splits import drawn
from pipeline.labels.learned import Classes
from pipeline.models.base import Rows, Samples
from pipeline.splits.fold import purge

TEST_SHARE, VALIDATION_SHARE = 0.15, 0.18
Answers = npt.NDArray[np.intp]
Moments = npt.NDArray[np.int64]


def cut_anyhow(samples: Samples, seed: int) -> Cut:
    """Any hours to fit on, to choose the epoch by and to be tested on: the old way. A leak."""
    rng = np.random.default_rng([seed, 1])
    rest, test = drawn(len(samples.rows), TEST_SHARE, rng)
    train, validation = drawn(len(rest), VALIDATION_SHARE, rng)
    return Cut(rest[train], rest[validation], test)


def cut_by_time(samples: Samples) -> Cut:
    """The oldest hours to fit on, later ones to choose the epoch by, the newest for the test.

    Hours whose answer reaches into the next part are left out.
    """
    rows = np.argsort(samples.time.asi8, kind="stable").astype(np.intp)
    first = round(len(rows) * (1 - TEST_SHARE) * (1 - VALIDATION_SHARE))
    second = round(len(rows) * (1 - TEST_SHARE))
    older, middle, newest = rows[:first], rows[first:second], rows[second:]
    middle = purge(middle, newest, samples.time, samples.ends_at).train
    return Cut(purge(older, middle, samples.time, samples.ends_at).train, middle, newest)


def copied(samples: Samples, train: Rows, test: Rows) -> Answers:
    """The label of the training row that is nearest in time to each test row."""
    moments = np.asarray(samples.time.asi8, "int64")
    order = train[np.argsort(moments[train], kind="stable")]
    return samples.label[order[nearest(moments[order], moments[test])]].astype(np.intp)


def nearest(known: Moments, asked: Moments) -> Answers:
    """Place of the nearest of ascending moments; the earlier of two that are as near.

    Examples
    --------
    >>> nearest(np.array([0, 10, 20]), np.array([4, 16, 15, 99])).tolist()
    [0, 2, 1, 2]
    """
    later = np.clip(np.searchsorted(known, asked), 1, len(known) - 1)
    nearer = asked - known[later - 1] <= known[later] - asked
    return np.where(nearer, later - 1, later)


def judged(
    said: Answers, happened: Classes, classes: tuple[str, ...], loss: float | None = None
) -> dict[str, float | None]:
    """Share of answers that were right: of all, of each class, and the mean of the classes."""
    right = said == happened
    of_class = {
        name: float(right[happened == number].mean()) if (happened == number).any() else None
        for number, name in enumerate(classes)
    }
    known = [share for share in of_class.values() if share is not None]
    return {
        "accuracy": float(right.mean()),
        **of_class,
        "balanced": sum(known) / len(known),
        "loss": loss,
        "rows": float(len(said)),
    }


def agreement(samples: Samples, apart: int) -> float:
    """Share of hours whose label is that of the hour so many hours later, where both have one."""
    moments = np.asarray(samples.time.asi8, "int64")
    order = np.argsort(moments, kind="stable")
    moments, label = moments[order], samples.label[order]
    step = int(np.diff(moments).min())
    places = np.searchsorted(moments, moments + apart * step)
    known = places < len(moments)
    known[known] = moments[places[known]] == (moments + apart * step)[known]
    return float((label[known] == label[places[known]]).mean())
