"""What a run asks of whoever does its tasks: the processes of this machine, or a cluster's."""

from __future__ import annotations

from typing import Protocol

from rtsep.batch.task import Outcome, Task


class Executor(Protocol):
    """Does tasks, several at a time, in any order.

    Attributes
    ----------
    workers : int
        How many tasks are done at the same time.
    """

    workers: int

    def room(self) -> int:
        """How many tasks may be submitted now."""
        ...

    def submit(self, number: int, task: Task) -> None:
        """Begin a task, known by a number of the caller's."""
        ...

    def wait(self, timeout_s: float) -> list[tuple[int, Outcome]]:
        """What has been done since the last call, or within `timeout_s`.

        Raises RtsepError where no task can be done any more.
        """
        ...

    def close(self) -> None:
        """Stop whatever is going on."""
        ...
