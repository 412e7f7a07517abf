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

from pipeline.market.exchanges.faults import ATTEMPTS, Fault
from pipeline.market.exchanges.machine import Deadline

Answered = TypeVar("Answered")
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # seconds; the wait is drawn from 0 to these


def persist(ask: Callable[[], Answered], deadline: Deadline) -> Answered:
    """Ask until there is an answer; only a `Fault` is asked again.

    Raises
    ------
    Fault
        The last one, after its attempts or when the deadline comes first.
    """

    def spent(state: RetryCallState) -> bool:
        most = min(ATTEMPTS, _fault(state).attempts)
        return state.attempt_number >= most or state.upcoming_sleep >= deadline.left

    def tell(state: RetryCallState) -> None:
        fault = _fault(state)
        after = f"{fault.what}, {fault.found}" if fault.found else fault.what
        asked = f"asking again {state.attempt_number} of {fault.attempts - 1}"
        deadline.machine.tell(f"{asked} in {state.upcoming_sleep:.0f} s after: {after}")

    retrying = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, Fault) and not error.final),
        wait=wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
        stop=spent,
        sleep=deadline.machine.sleep,
        before_sleep=tell,
        reraise=True,
    )
    return retrying(ask)


def _fault(state: RetryCallState) -> Fault:
    raised = state.outcome.exception() if state.outcome else None
    assert isinstance(raised, Fault)
    return raised
