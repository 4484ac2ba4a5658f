"""Worker processes of this machine, replaced when they die, hang or grow.

The first one loads the model alone, so that weights are fetched and packed, and kernels compiled, once;
the others follow when it is ready. All decisions are made on the caller's thread, in `wait`.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import BinaryIO

from rtsep.batch.memory import available_bytes
from rtsep.batch.messages import Begun, Finished, Message, Orders, Pulse, Ready, Refused
from rtsep.batch.settings import BatchSettings
from rtsep.batch.task import Outcome, Task
from rtsep.batch.worker_process import Limits, WorkerProcess
from rtsep.environment import usable_cores
from rtsep.errors import RtsepError, UsageError

# A worker's own memory with two stems, measured, with room for longer nets (docs/many-files.md).
WORKER_BYTES = 400 << 20
# A worker that has taken so much more since it was ready gives it back by ending.
GROWTH_BYTES = 256 << 20
# Workers that end before they are ready, one after another, are not started for ever.
FAILED_STARTS_MAX = 3
END_S = 10.0


def default_workers() -> int:
    """As many workers as there are cores, or as the memory has room for, at least one."""
    cores, memory = usable_cores(), available_bytes()
    return cores if memory is None else max(1, min(cores, memory // WORKER_BYTES))


class WorkerPool:
    """Worker processes; see Executor.

    Parameters
    ----------
    settings : BatchSettings
        What they do.
    workers : int
        How many.
    writer : str
        Their common name in temporary files, see part_file.py.
    limits : Limits
        Of each.
    lock : BinaryIO, optional
        A file that each holds open as long as it lives.
    say : callable
        Called with what a person should know.
    """

    def __init__(
        self,
        settings: BatchSettings,
        workers: int,
        writer: str,
        limits: Limits,
        lock: BinaryIO | None = None,
        say: Callable[[str], None] = lambda text: None,
    ):
        self.workers = workers
        self._orders, self._limits = Orders(settings, writer), limits
        self._lock, self._say = lock, say
        # Writers: a thread for each process; reader: the caller's thread.
        self._messages: queue.SimpleQueue[tuple[WorkerProcess, Message | None]] = (
            queue.SimpleQueue()
        )
        self._processes: list[WorkerProcess] = []
        self._dismissed: list[WorkerProcess] = []
        self._failed_starts = 0
        self._told_not_shared = False
        self._start_one()

    @property
    def processes(self) -> tuple[WorkerProcess, ...]:
        """Those that are at work, or about to be."""
        return tuple(self._processes)

    def room(self) -> int:
        """How many tasks may be submitted now."""
        return sum(process.is_idle for process in self._processes)

    def submit(self, number: int, task: Task) -> None:
        """Begin a task."""
        next(process for process in self._processes if process.is_idle).give(number, task)

    def wait(self, timeout_s: float) -> list[tuple[int, Outcome]]:
        """What has been done; see Executor."""
        outcomes: list[tuple[int, Outcome]] = []
        try:
            process, message = self._messages.get(timeout=timeout_s)
            self._handle(process, message, outcomes)
            while True:
                self._handle(*self._messages.get_nowait(), outcomes)
        except queue.Empty:
            pass
        for process in self._processes:
            process.check_time()
        return outcomes

    def close(self) -> None:
        """End every process."""
        everyone = [*self._processes, *self._dismissed]
        for process in everyone:
            process.dismiss()
        deadline_s = time.monotonic() + END_S
        for process in everyone:
            process.end(max(0.0, deadline_s - time.monotonic()))
        self._processes.clear()

    def _start_one(self) -> None:
        self._processes.append(
            WorkerProcess(
                self._orders,
                self._limits,
                lambda process, message: self._messages.put((process, message)),
                self._lock,
            )
        )

    def _handle(
        self,
        process: WorkerProcess,
        message: Message | None,
        outcomes: list[tuple[int, Outcome]],
    ) -> None:
        if message is None:
            self._ended(process, outcomes)
        elif isinstance(message, Ready):
            self._ready(process, message)
        elif isinstance(message, Refused):
            error = RtsepError if message.exit_status == RtsepError.exit_status else UsageError
            raise error(message.error)
        elif isinstance(message, Begun):
            if process.task is not None:
                process.expect(message.sound_s)
        elif isinstance(message, Pulse):
            process.check_memory(message.private_bytes)
        else:
            self._finished(process, message, outcomes)

    def _ready(self, process: WorkerProcess, message: Ready) -> None:
        process.is_ready, process.bytes_at_start = True, message.private_bytes
        self._failed_starts = 0
        if message.why_not_shared is not None and not self._told_not_shared:
            self._told_not_shared = True
            self._say(
                "the packed weights are not shared between the workers, each has its own in memory:"
                f" {message.why_not_shared}"
            )
        while len(self._processes) < self.workers:
            self._start_one()

    def _finished(
        self, process: WorkerProcess, message: Finished, outcomes: list[tuple[int, Outcome]]
    ) -> None:
        if process.task is None or process not in self._processes:
            return
        outcomes.append((process.number, message.outcome))
        process.task = None
        now, before = message.private_bytes, process.bytes_at_start
        if now is not None and before is not None and now - before > GROWTH_BYTES:
            self._processes.remove(process)
            self._dismissed.append(process)
            process.dismiss()
            self._start_one()

    def _ended(self, process: WorkerProcess, outcomes: list[tuple[int, Outcome]]) -> None:
        if process in self._dismissed:
            self._dismissed.remove(process)
            process.end(0.0)
            return
        self._processes.remove(process)
        if process.task is not None:
            outcomes.append(
                (
                    process.number,
                    Outcome(error=f"{process.task.source}: the worker {process.why_ended}"),
                )
            )
        if not process.is_ready:
            self._failed_starts += 1
            if self._failed_starts == FAILED_STARTS_MAX:
                raise RtsepError(
                    f"worker processes do not start: the last one {process.why_ended}; see what they"
                    " have printed, and whether there is memory for them"
                )
        self._start_one()
