"""A worker process: it loads the model once and does the tasks that come on standard input.

    standard input  -> thread "orders" -> queue -> main thread: perform -> results
    the end of it   -> thread "orders" -> SIGTERM to the main thread: clean up, end

So a worker never outlives the run that started it, however that ended. What libraries print on standard
output goes to standard error.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from queue import SimpleQueue
from typing import BinaryIO

from rtsep.batch.memory import private_bytes
from rtsep.batch.messages import (
    Begun,
    Finished,
    Message,
    Orders,
    Pulse,
    Ready,
    Refused,
    receive,
    send,
)
from rtsep.batch.task import Task, perform
from rtsep.errors import RtsepError, UsageError
from rtsep.system.part_file import name_writer, remove_leftovers
from rtsep.system.signals import catching

PULSE_S = 1.0
# How long the main thread may take to clean up once nobody listens any more.
CLEAN_UP_S = 5.0


def main() -> int:
    """Work until standard input ends; return the exit status."""
    orders_file, results = _take_streams()
    orders: Orders | None = receive(orders_file)
    if orders is None:
        return 0
    name_writer(orders.writer)
    channel = _Channel(results)
    tasks: SimpleQueue[Task | None] = SimpleQueue()
    try:
        with catching():
            try:
                threading.Thread(
                    target=_listen, args=(orders_file, tasks), name="orders", daemon=True
                ).start()
                threading.Thread(target=_beat, args=(channel,), name="pulse", daemon=True).start()
                return _work(orders, tasks, channel)
            finally:
                remove_leftovers()
    except (KeyboardInterrupt, BrokenPipeError):
        return 0


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep standard input and output for messages; others get nothing and standard error."""
    orders, results = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print(f"rtsep worker: warning: {message}", file=sys.stderr)

    warnings.showwarning = show
    return orders, results


class _Channel:
    """Results, from more than one thread."""

    def __init__(self, file: BinaryIO):
        self._file, self._lock = file, threading.Lock()

    def send(self, message: Message) -> None:
        with self._lock:
            send(self._file, message)


def _work(orders: Orders, tasks: SimpleQueue[Task | None], channel: _Channel) -> int:
    from rtsep.batch.warm_separator import WarmSeparator

    try:
        separator = WarmSeparator(orders.settings)
        separator.warm_up()
    except RtsepError as error:
        channel.send(Refused(str(error), error.exit_status))
        return error.exit_status
    except ImportError as error:  # an impossible RTSEP_KERNELS or RTSEP_DOT
        channel.send(Refused(str(error), UsageError.exit_status))
        return UsageError.exit_status
    channel.send(Ready(separator.precision, private_bytes(), separator.why_not_shared))
    while (task := tasks.get()) is not None:
        outcome = perform(
            task, orders.settings, lambda: separator, lambda sound_s: channel.send(Begun(sound_s))
        )
        channel.send(Finished(outcome, private_bytes()))
    return 0


def _listen(file: BinaryIO, tasks: SimpleQueue[Task | None]) -> None:
    while (task := receive(file)) is not None:
        tasks.put(task)
    tasks.put(None)
    if hasattr(signal, "pthread_kill"):
        # To the main thread itself, which may be waiting for a lock.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        time.sleep(CLEAN_UP_S)
    remove_leftovers()
    os._exit(1)


def _beat(channel: _Channel) -> None:
    with contextlib.suppress(OSError):
        while True:
            time.sleep(PULSE_S)
            channel.send(Pulse(private_bytes()))


if __name__ == "__main__":
    # Interrupts are for the run, which then ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main())
