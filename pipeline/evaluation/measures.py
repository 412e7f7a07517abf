"""Every figure of a head's forecast, over its rows and over rows drawn again.

With y the class that happened, p the forecast and b the training shares of each row; a figure
that no row can tell is NaN:

======================  ========================================================
accuracy                share of rows whose most probable class happened
balanced_accuracy       mean recall of the classes that happened
precision, recall       of a class, where it is the most probable
log_loss                mean of -log p[y], in nats; p clipped to [1e-15, 1]
brier_skill             1 - Brier(p) / Brier(b)
skill_over_climatology  the same over shares by volatility
calibration_error       mean over the classes, over the tenths of [0, 1] that p lies in, of the
                        distance between mean p and how often the class happened
information_coefficient Spearman's correlation of sum(k p[k]) with y, classes in order
auc, average_precision  of a class against the rest, or the mean over those that happened
precision_at_k          share that happened of the K rows with a class's highest p; K is b's sum
recall_at_k             share of what happened of the class that those K rows hold
direction_auc           auc of buy against sell among the rows that moved, from their odds
direction_skill         Brier skill of the same
======================  ========================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.bootstrap import SEED, Blocks, drawn_sums
from pipeline.evaluation.ranking import rank_correlation, ranked

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Figures = dict[str, Floats]
BINS = 10
SELL, BUY = "sell", "buy"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What happened, what was usual, and how the rows are drawn again.

    `against` has the probabilities that a skill is taken over, by the skill's name; `moves` draws
    the rows that moved again, alone, as no other row tells anything about direction.
    """

    happened: Ints
    classes: tuple[str, ...]
    against: Mapping[str, Floats]
    blocks: Blocks
    moves: Blocks

    @property
    def has_direction(self) -> bool:
        """Whether the head tells sell from buy and from something between."""
        return {SELL, BUY} < {*self.classes}

    def once(self) -> Outcomes:
        """The same, not drawn again."""
        blocks, moves = (replace(each, draws=0) for each in (self.blocks, self.moves))
        return replace(self, blocks=blocks, moves=moves)


def mean_figures(probability: Floats, outcomes: Outcomes) -> Figures:
    """The figures that are sums over rows, each of shape (1 + draws,)."""
    happened, size = outcomes.happened, len(outcomes.classes)
    truth, said = np.eye(size)[happened], np.eye(size)[probability.argmax(axis=1)]
    losses = [brier(probability, happened), log_loss(probability, happened)]
    others = [brier(base, happened) for base in outcomes.against.values()]
    columns = [truth, said, truth * said, np.column_stack([np.ones(len(truth)), *losses, *others])]
    columns.append(_gaps(probability, truth))
    cuts = np.cumsum([part.shape[1] for part in columns])[:-1]
    rng = np.random.default_rng(SEED)
    sums = np.split(drawn_sums(np.hstack(columns), outcomes.blocks, rng), cuts, axis=1)
    true, named, right, (rows, loss, surprise, *usual), gaps = *sums[:3], sums[3].T, sums[4]
    recall, precision = _share(right, true), _share(right, named)
    found = {
        "accuracy": right.sum(axis=1) / rows,
        "balanced_accuracy": _mean(recall),
        "log_loss": surprise / rows,
        "calibration_error": np.abs(gaps).sum(axis=1) / rows / size,
    }
    found |= {
        name: _skill(loss, base, rows) for name, base in zip(outcomes.against, usual, strict=True)
    }
    for k, name in enumerate(outcomes.classes):
        found |= {f"precision_{name}": precision[:, k], f"recall_{name}": recall[:, k]}
    return found


def rank_figures(probability: Floats, base: Floats, outcomes: Outcomes) -> Figures:
    """The figures that rest on the order of probabilities, each of shape (1 + draws,)."""
    happened = outcomes.happened
    each: dict[str, list[Floats]] = {"auc": [], "average_precision": []}
    found: Figures = {}
    for k, name in enumerate(outcomes.classes):
        share = float(base[:, k].mean())
        one = ranked(probability[:, k], happened == k, share, outcomes.blocks, SEED)
        each["auc"].append(one.auc)
        each["average_precision"].append(one.average_precision)
        found |= {
            f"auc_{name}": one.auc,
            f"average_precision_{name}": one.average_precision,
            f"precision_at_k_{name}": one.precision_at_k,
            f"recall_at_k_{name}": one.recall_at_k,
        }
    leaning = probability @ np.arange(len(outcomes.classes))
    correlation = rank_correlation(leaning, happened, outcomes.blocks, SEED)
    means = {name: _mean(np.column_stack(values)) for name, values in each.items()}
    return means | {"information_coefficient": correlation} | found


def direction_figures(probability: Floats, base: Floats, outcomes: Outcomes) -> Figures:
    """Skill and area of buy against sell among the rows that moved, each of shape (1 + draws,)."""
    pair = [outcomes.classes.index(name) for name in (SELL, BUY)]
    moved = np.isin(outcomes.happened, pair)
    chance, usual = (odds(values[moved][:, pair]) for values in (probability, base))
    rose = outcomes.happened[moved] == pair[1]
    losses = np.column_stack([(chance - rose) ** 2, (usual - rose) ** 2, np.ones(len(rose))])
    sums = drawn_sums(losses, outcomes.moves, np.random.default_rng(SEED))
    return {
        "direction_auc": ranked(chance, rose, 0.5, outcomes.moves, SEED).auc,
        "direction_skill": _skill(*sums.T),
    }


def odds(pair: Floats) -> Floats:
    """Share of the second of two probabilities in their sum; a half where both are 0.

    Examples
    --------
    >>> odds(np.array([[0.1, 0.3], [0.0, 0.0]])).round(2).tolist()
    [0.75, 0.5]
    """
    total = pair.sum(axis=1)
    return np.asarray(np.divide(pair[:, 1], total, np.full(len(pair), 0.5), where=total > 0))


def brier(probability: Floats, happened: Ints) -> Floats:
    """Squared distance of the probabilities from what happened, per row."""
    truth = np.eye(probability.shape[1])[happened]
    return np.asarray(((probability - truth) ** 2).sum(axis=1))


def log_loss(probability: Floats, happened: Ints) -> Floats:
    """Minus log of the probability given to what happened, per row, in nats."""
    chosen = probability[np.arange(len(happened)), happened]
    return np.asarray(-np.log(np.clip(chosen, 1e-15, 1.0)))


def _gaps(probability: Floats, truth: Floats) -> Floats:
    """Probability less truth, in the column of its class and tenth, shape (rows, classes * 10)."""
    tenth = np.clip((probability * BINS).astype("int64"), 0, BINS - 1)
    inside = np.eye(BINS)[tenth]
    gaps: Floats = inside * (probability - truth)[:, :, None]
    return gaps.reshape(len(truth), -1)


def _skill(loss: Floats, base: Floats, rows: Floats) -> Floats:
    """`pipeline.evaluation.effective.skill` of sums over rows."""
    return np.where(base > 0, (base - loss) / np.where(base > 0, base, 1.0), -loss / rows.clip(1))


def _share(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, np.full(part.shape, np.nan), where=whole > 0))


def _mean(values: Floats) -> Floats:
    """Mean over the columns that can be told."""
    told = np.isfinite(values)
    total = np.where(told, values, 0.0).sum(axis=1)
    return _share(total, told.sum(axis=1).astype("float64"))
