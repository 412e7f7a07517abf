"""Rare classes that weigh as much as common ones, for all models of trees alike, and back."""

from __future__ import annotations

from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from pipeline.models.base import Floats, Model, Samples
from pipeline.models.calibration import Calibrator

ClassWeight = Literal["none", "balanced"]
ClassWeights = tuple[float, ...]


@runtime_checkable
class WeighsClasses(Protocol):
    """A model that may let rare classes weigh more than they are."""

    @property
    def class_weight(self) -> ClassWeight:
        """How its fit weighs classes."""
        ...


@runtime_checkable
class TakesWeightsBack(Protocol):
    """A calibration that learns from probabilities without the class weights of the fit."""

    def after_weights(self, weights: ClassWeights, learnt: Any) -> Calibrator:
        """A calibrator of a model fitted with `weights`, given what was learnt without; or None."""
        ...


def class_weighted(
    weight: Floats, label: npt.NDArray[np.int8], class_weight: ClassWeight
) -> Floats:
    """Row weights after which every class that came weighs as much as the heaviest.

    With two classes and fewer ones than zeros this is XGBoost's ``scale_pos_weight``, zeros / ones
    by weight. Probabilities of a balanced fit say more than how often a rare class comes. No row
    is made up, and ``none`` leaves the weights as they are.

    Examples
    --------
    >>> class_weighted(np.ones(4), np.array([0, 0, 0, 1], "int8"), "balanced").tolist()
    [1.0, 1.0, 1.0, 3.0]
    """
    if class_weight == "none":
        return weight
    held = np.bincount(label, weight)
    return np.asarray(weight * (held.max() / held[label]))


def class_weights(model: Model, train: Samples) -> ClassWeights | None:
    """How many times its own weight a row of each class weighs when `model` is fitted on `train`.

    1 for a class without a row; None where the model weighs no class.
    """
    if not isinstance(model, WeighsClasses) or model.class_weight != "balanced":
        return None
    held = np.bincount(train.label, train.weight, minlength=len(train.classes))
    return tuple(np.divide(held.max(), held, out=np.ones_like(held), where=held > 0).tolist())


def unweighed(probability: Floats, weights: ClassWeights) -> Floats:
    """What a model would have said had every class weighed the same: ``p / w``, summing to 1.

    Exact for a model whose odds are those of its weighted rows (Saerens, Latinne & Decaestecker,
    "Adjusting the outputs of a classifier to new a priori probabilities", 2002).

    Parameters
    ----------
    probability
        Shape (rows, classes).

    Examples
    --------
    >>> unweighed(np.array([[0.5, 0.5], [0.25, 0.75]]), (1.0, 3.0)).tolist()
    [[0.75, 0.25], [0.5, 0.5]]
    """
    shares = probability / np.asarray(weights)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
