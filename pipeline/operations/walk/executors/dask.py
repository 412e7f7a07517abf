"""A dask cluster: the first step beyond one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

from pydantic import Field

from pipeline.config import Record
from pipeline.errors import RetryLater
from pipeline.operations.walk.executors.base import Result, Room, Task, not_installed


class Dask(Record):
    """Workers of a dask scheduler; home and checkout lie at the same paths on all of them.

    How often a slot whose worker is killed is begun again is the scheduler's
    ``distributed.scheduler.allowed-failures``.
    """

    address: str
    cores: Annotated[int, Field(ge=1, description="processes of each slot")] = 1
    timeout_seconds: Annotated[float, Field(gt=0, description="for the scheduler")] = 30

    def room(self, slots: int, cores: int) -> Room:  # noqa: ARG002 - the cores are elsewhere
        """See `Executor.room`: the scheduler says how many slots come together."""
        return Room(slots, self.cores)

    def run(
        self,
        work: Callable[[Task], Result],
        tasks: Sequence[Task],
        room: Room,  # noqa: ARG002 - the scheduler's business
    ) -> Iterator[tuple[int, Result | None]]:
        """See `Executor.run`."""
        try:
            from distributed import Client, as_completed
        except ImportError:
            raise not_installed("dask") from None
        try:
            client = Client(self.address, timeout=self.timeout_seconds, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise RetryLater(
                "the dask scheduler does not answer",
                where=self.address,
                found=str(error),
                fix="start it (dask scheduler --host 127.0.0.1), or name another executor.address",
            ) from None
        with client:
            numbers = {
                client.submit(work, task, pure=False): number for number, task in enumerate(tasks)
            }
            for future in as_completed(numbers, loop=client.loop):
                yield numbers[future], future.result() if future.status == "finished" else None
