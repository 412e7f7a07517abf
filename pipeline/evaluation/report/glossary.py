"""The words that the page uses."""

from __future__ import annotations

from pipeline.evaluation.report.layout import Place, pairs, section
from pipeline.evaluation.report.markup import Html, tag

WORDS = {
    "Out-of-fold": "Predicted by a model that was not trained on that row, nor on any row whose "
    "outcome reaches into the test. Every score on this page is out-of-fold.",
    "Fold": "One pair of training and test rows.",
    "Purge": "Leaving out the training rows whose label looks so far ahead that it reaches into "
    "the test, and those that follow a test so closely that they look back into it.",
    "Refit": "The last fit, on every labelled row; this one is served. No score can be given for "
    "it, because nothing is left to test it on.",
    "Independent rows": "Neighbouring labels look at the same future and repeat each other. So "
    "many rows, without any overlap, would tell as much.",
    "Class shares": "How often each class happened in the training rows: what one knows without "
    "looking at the market.",
    "Brier skill": "How much smaller the squared error of the probabilities is than that of the "
    "class shares. 0 is no better, 100 % is perfect, below 0 is worse.",
    "Log loss": "Minus the logarithm of the probability that was given to what happened, in nats. "
    "Sure and wrong costs most.",
    "Balanced accuracy": "Accuracy within each class, averaged: naming the most common class "
    "always gives no more than chance.",
    "AUC": "How often a row whose class happened is ranked above one whose class did not. 50 % is "
    "a coin, 100 % is perfect.",
    "Average precision": "How clean the rows ranked highest for a class are: the share of them "
    "that were right, averaged over all cuts. Naming no order gives how often the class happened.",
    "Information coefficient": "Rank correlation of what was predicted with what happened, from "
    "minus 1 to 1; 0 is none.",
    "ECE": "Expected calibration error: how far, on average, a probability lies from how often "
    "its class then happened. 0 is best.",
    "Regime": "How much the market moves (its volatility) beside its last 90 days: calm is the "
    "lowest third, wild the highest, normal in between. The trades' bull, sideways and bear are "
    "another thing: how far the market changed over the 20 candles before.",
    "Sharpe": "Mean daily return after costs by its standard deviation, over a year. 0 earns "
    "nothing; above 1 is good.",
    "Sortino": "As Sharpe, but only losses count as risk.",
    "Calmar": "Return a year by the deepest drawdown.",
    "Undecidable": "Too few independent rows to tell skill from luck; more candles are needed, "
    "not another look.",
    "Observe": "The version gives signals and is watched; nothing is decided by them.",
}


def glossary(place: Place) -> Html:
    """What the words mean."""
    return section(place, "words", "Words", tag("div", pairs(WORDS.items()), class_="glossary"))
