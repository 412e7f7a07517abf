"""The checks of an audit: what each would catch, and what one of them came to."""

from __future__ import annotations

from pipeline.config import Record

CHECKS = {
    "truncation": "a feature or label that is another one while later candles are missing",
    "corruption": "a feature or label that later candles change, however wild they are",
    "overlap": "a training label that ends inside a test, a row on both sides of a split",
    "fitted": "a model, scaler or learned label that was shown a row of its test",
    "calibrated": "a calibrator that knew outcomes of the time it was asked about",
    "shuffled": "skill that stays when the labels are those of other weeks",
    "parity": "a feature that is served otherwise than it was trained on",
    "bundle": "a model that says something else once it was saved and loaded",
    "columns": "a model that takes columns of another order or name without a word",
    "noise": "a promotion where the price is a martingale",
    "bars": "a promotion on recorded bars whose order and sign were drawn",
    "timing": "a trading promotion where volatility can be foretold and direction cannot",
    "risk": "a risk head that misses a volatility that can be foretold",
    "planted": "an edge that is there and is not found",
}


class Result(Record):
    """What a check came to; `passed` is None where it only tells a figure."""

    check: str
    passed: bool | None
    number: str

    @property
    def catches(self) -> str:
        """What it would catch."""
        return CHECKS[self.check.split()[0]]

    @property
    def word(self) -> str:
        """Its result in a word.

        Examples
        --------
        >>> Result(check="noise", passed=True, number="0 of 200 promoted").word
        'passed'
        """
        return {True: "passed", False: "FAILED", None: "told"}[self.passed]
