"""Asking again: exponential waits with full jitter, up to a minute, until the deadline."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    wait_random_exponential,
)

from pipeline.market.exchanges.faults import Fault
from pipeline.market.exchanges.machine import Deadline

Answered = TypeVar("Answered")
ATTEMPTS = 8
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # seconds; the wait is drawn from 0 to these


def persist(ask: Callable[[], Answered], deadline: Deadline) -> Answered:
    """Ask until there is an answer; only a `Fault` is asked again.

    Raises
    ------
    Fault
        The last one, after eight attempts or when the deadline comes first.
    """

    def spent(state: RetryCallState) -> bool:
        return state.attempt_number >= ATTEMPTS or state.upcoming_sleep >= deadline.left

    retrying = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, Fault) and not error.final),
        wait=wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
        stop=spent,
        sleep=deadline.machine.sleep,
        reraise=True,
    )
    return retrying(ask)
