"""One worker process as its run sees it: what it was given, since when, and how much it may take."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, cast

from rtsep.batch.messages import Message, Orders, receive, send
from rtsep.batch.task import Task
from rtsep.system.child_program import command

# From its start until the model is loaded: kernels may have to be compiled, weights to be packed.
START_LIMIT_S = 600.0
# For what does not depend on a recording's length: opening it, a network drive that is asleep.
EXTRA_LIMIT_S = 60.0
# Where a file does not say how long it is, it is taken for one of so many bytes a second, the least
# that music is coded with.
FEWEST_BYTES_PER_S = 4000


@dataclass(frozen=True)
class Limits:
    """What a worker may take.

    time_factor: seconds for each second of sound, beside EXTRA_LIMIT_S.
    memory_bytes: of its own; None for no limit.
    """

    time_factor: float
    memory_bytes: int | None = None


class WorkerProcess:
    """A process that was just started.

    on_message: called from a thread of its own with each message, and with None when it has ended.
    lock: an open file that the process holds open as long as it lives.
    """

    def __init__(
        self,
        orders: Orders,
        limits: Limits,
        on_message: Callable[[WorkerProcess, Message | None], None],
        lock: BinaryIO | None,
    ):
        self.limits = limits
        self.task: Task | None = None
        self.number = -1
        self.is_ready = False
        self.bytes_at_start: int | None = None
        self.why_ended: str | None = None
        self._deadline_s = time.monotonic() + START_LIMIT_S
        self._process = subprocess.Popen(
            command("rtsep.batch.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A Ctrl-C at the terminal is for the run alone.
            start_new_session=os.name == "posix",
            pass_fds=(lock.fileno(),) if lock is not None and os.name == "posix" else (),
        )
        self._send(orders)
        threading.Thread(target=self._listen, args=(on_message,), daemon=True).start()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a task."""
        return self.is_ready and self.task is None and self.why_ended is None

    def give(self, number: int, task: Task) -> None:
        """Have it do a task, which its run knows by a number."""
        self.number, self.task = number, task
        self.expect(None)
        self._send(task)

    def expect(self, sound_s: float | None) -> None:
        """Set the time by which the task must be done. sound_s: its length, if that is known."""
        assert self.task is not None
        if sound_s is None:
            sound_s = self.task.size_bytes / FEWEST_BYTES_PER_S
        self._deadline_s = time.monotonic() + EXTRA_LIMIT_S + self.limits.time_factor * sound_s

    def check_time(self) -> None:
        """Kill it if it hangs."""
        if (self.task is not None or not self.is_ready) and time.monotonic() > self._deadline_s:
            self.kill("took longer than its time limit")

    def check_memory(self, private_bytes: int | None) -> None:
        """Kill it if it takes more than it may. private_bytes: what it takes."""
        limit = self.limits.memory_bytes
        if limit is not None and private_bytes is not None and private_bytes > limit:
            self.kill(f"took {private_bytes / 1e6:,.0f} MB of memory, more than {limit / 1e6:,.0f}")

    def kill(self, why: str) -> None:
        """End it at once. why: in words that follow `the worker`."""
        if self.why_ended is None:
            self.why_ended = why
            self._process.kill()

    def dismiss(self) -> None:
        """Let it end: it cleans up what it is at."""
        self.why_ended = self.why_ended or "was dismissed"
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()

    def end(self, timeout_s: float) -> None:
        """Wait for its end, or kill it."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, message: object) -> None:
        # One that has died is told by the end of its results.
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            send(cast(BinaryIO, self._process.stdin), message)

    def _listen(self, on_message: Callable[[WorkerProcess, Message | None], None]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as results:
            while (message := receive(cast(BinaryIO, results))) is not None:
                on_message(self, message)
        status = self._process.wait()
        if self.why_ended is None:
            self.why_ended = _told(status)
        on_message(self, None)


def _told(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-status).name}"
    return f"was ended by signal {-status}"
