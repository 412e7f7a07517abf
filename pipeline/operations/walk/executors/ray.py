"""A Ray cluster: many machines, or machines with something that must be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

from pydantic import Field

from pipeline.config import Record
from pipeline.errors import RetryLater
from pipeline.operations.walk.executors.base import Result, Room, Task, not_installed


class Ray(Record):
    """Workers of a Ray cluster; home and checkout lie at the same paths on all of them."""

    address: str
    cores: Annotated[int, Field(ge=1, description="processes of each slot")] = 1
    attempts: Annotated[int, Field(ge=1, le=10)] = 2

    def room(self, slots: int, cores: int) -> Room:  # noqa: ARG002 - the cores are elsewhere
        """See `Executor.room`: the cluster says how many slots come together."""
        return Room(slots, self.cores)

    def run(
        self,
        work: Callable[[Task], Result],
        tasks: Sequence[Task],
        room: Room,
    ) -> Iterator[tuple[int, Result | None]]:
        """See `Executor.run`."""
        try:
            import ray
        except ImportError:
            raise not_installed("ray") from None
        try:
            ray.init(address=self.address, ignore_reinit_error=True, log_to_driver=False)
        except (ConnectionError, ValueError) as error:
            raise RetryLater(
                "the Ray cluster does not answer",
                where=self.address,
                found=str(error),
                fix="start it (ray start --head), name another executor.address, or, where it "
                "asks for a token, set RAY_AUTH_MODE=token",
            ) from None
        try:
            slot = ray.remote(num_cpus=room.cores, max_retries=self.attempts - 1)(work)
            numbers = {slot.remote(task): number for number, task in enumerate(tasks)}
            while numbers:
                (done,), _ = ray.wait(list(numbers), num_returns=1)
                yield numbers.pop(done), _result(done)
        finally:
            ray.shutdown()


def _result(done: Any) -> Any:
    import ray

    try:
        return ray.get(done)
    except ray.exceptions.RayError:
        return None
