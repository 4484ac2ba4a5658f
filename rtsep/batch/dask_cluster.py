"""The workers of a Dask cluster as executor: the same tasks, on any number of machines.

Each process of a worker loads the model with its first task and keeps it. No more tasks are handed over
than keep everybody busy, so that the scheduler holds few, however many inputs there are; it gives those
of a worker that dies to others. What the dashboard calls `separate` are recordings.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import queue
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rtsep
from rtsep.batch.plan import key_of, remove_parts
from rtsep.batch.settings import BatchSettings
from rtsep.batch.task import Outcome, Task, perform
from rtsep.errors import MissingLibraryError, RtsepError, one_line
from rtsep.files.pipe_writer import PipeTarget
from rtsep.system.part_file import PartFile, commit_together, name_writer

if TYPE_CHECKING:
    from rtsep.batch.warm_separator import WarmSeparator

CONNECT_S = 30.0
# Tasks handed over for each that is at work: the next one is there when it ends.
AHEAD = 2
# How often the size of the cluster is asked for.
LOOK_S = 5.0


class DaskCluster:
    """Does tasks on a cluster; see Executor.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://host:8786``.
    settings : BatchSettings
        What is done.
    writer : str
        The workers' common name in temporary files, see part_file.py.
    fetch : bool
        Have the stems come back through the network, where workers cannot write to where they go.
    say : callable
        Called with what a person should know.

    Raises
    ------
    MissingLibraryError
        Where Dask is not installed.
    RtsepError
        Where no scheduler answers, or its workers have another version of rtsep.
    """

    def __init__(
        self,
        address: str,
        settings: BatchSettings,
        writer: str,
        fetch: bool,
        say: Callable[[str], None] = lambda text: None,
    ):
        try:
            import distributed
        except ImportError:
            raise MissingLibraryError(
                "a cluster takes Dask: run `pip install 'rtsep[cluster]'`"
            ) from None
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self._address, self._fetch = address, fetch
        self._settings, self._writer = settings, writer
        self._killed, self._cancelled = distributed.KilledWorker, distributed.CancelledError
        try:
            self._client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise RtsepError(
                f"no scheduler of Dask answers at {address} ({one_line(error)}): start one with"
                " `dask scheduler`, or look at the address"
            ) from error
        # Writer: a thread of Dask's; reader: the caller's.
        self._ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._futures: dict[int, Any] = {}
        self._tasks: dict[int, Task] = {}
        self._done_here: list[tuple[int, Outcome]] = []
        self.workers, self._looked_s = 0, float("-inf")
        try:
            self._look()
            if not self.workers:
                say(f"no worker has joined the cluster at {address} yet: waiting for one")
            self._check_versions()
        except BaseException:
            self.close()
            raise

    def room(self) -> int:
        """How many tasks may be submitted now."""
        if time.monotonic() - self._looked_s > LOOK_S:
            self._look()
        return max(0, AHEAD * self.workers - len(self._futures))

    def submit(self, number: int, task: Task) -> None:
        """Begin a task. Its files are named in full, since workers have folders of their own."""
        task = dataclasses.replace(task, source=key_of(task.source))
        if self._fetch and task.kind == "duplicate":  # the stems are here
            self._done_here.append((number, _duplicated(task)))
            return
        future = self._client.submit(
            perform_there, task, self._settings, self._writer, self._fetch,
            key=f"{task.kind}-{self._writer}-{number}-{time.time_ns()}", pure=False,
        )  # fmt: skip
        self._futures[number], self._tasks[number] = future, task
        future.add_done_callback(lambda _future: self._ended.put(number))

    def wait(self, timeout_s: float) -> list[tuple[int, Outcome]]:
        """What has been done; see Executor."""
        outcomes, self._done_here = self._done_here, []
        with contextlib.suppress(queue.Empty):
            number = self._ended.get(timeout=0.0 if outcomes else timeout_s)
            while True:
                outcomes.append((number, self._outcome(number)))
                number = self._ended.get_nowait()
        if not outcomes and self._client.status not in ("running", "connecting"):
            raise self._gone()
        return outcomes

    def close(self) -> None:
        """Take back what is not done and leave the cluster."""
        with contextlib.suppress(Exception):  # it may have gone
            self._client.cancel(list(self._futures.values()), force=True)
        with contextlib.suppress(Exception):
            self._client.close(timeout=5)

    def _look(self) -> None:
        try:
            self.workers = sum(self._client.nthreads().values())
        except (OSError, TimeoutError) as error:
            raise self._gone() from error
        self._looked_s = time.monotonic()

    def _check_versions(self) -> None:
        """Raise RtsepError where a worker lacks rtsep; one that is just dying says nothing."""
        answers = self._client.run(_version, on_error="return").values()
        for answer in answers:
            if isinstance(answer, ImportError):
                raise RtsepError(
                    f"workers of the cluster at {self._address} have no rtsep ({answer}): install it"
                    " there"
                )
        others = {answer for answer in answers if isinstance(answer, str)} - {rtsep.__version__}
        if others:
            raise RtsepError(
                f"workers of the cluster at {self._address} have rtsep {', '.join(sorted(others))},"
                f" here it is {rtsep.__version__}: install the same"
            )

    def _outcome(self, number: int) -> Outcome:
        future, task = self._futures.pop(number), self._tasks.pop(number)
        try:
            outcome, contents = future.result()
        except self._cancelled as error:
            raise self._gone() from error
        except self._killed:
            return Outcome(error=f"{task.source}: every worker that had it has died")
        except Exception as error:
            return Outcome(error=f"{task.source}: {one_line(error)}")
        # Of workers that were killed at it, after which the scheduler gave it to another.
        remove_parts(task.targets.values(), self._writer)
        return _stored(task, outcome, contents) if contents else outcome

    def _gone(self) -> RtsepError:
        return RtsepError(
            f"the scheduler at {self._address} has gone: start it again, then this with the same journal"
        )


def _duplicated(task: Task) -> Outcome:
    """Make stems of those of a recording with the same content, in this process."""

    def no_separator() -> WarmSeparator:
        raise AssertionError("a duplicate needs no networks")

    return perform(task, BatchSettings("", ()), no_separator, _no_clock)


def _stored(task: Task, outcome: Outcome, contents: dict[str, bytes]) -> Outcome:
    """Write the stems that came through the network, all or none of them."""
    parts: list[PartFile] = []
    try:
        for stem, content in contents.items():
            parts.append(PartFile(Path(task.targets[stem])))
            parts[-1].temporary.write_bytes(content)
        commit_together(parts)
    except OSError as error:
        reason = error.strerror or one_line(error)
        return Outcome(error=f"cannot write {error.filename or task.source}: {reason}")
    finally:
        for part in parts:
            part.discard()
    sizes = {stem: len(content) for stem, content in contents.items()}
    return dataclasses.replace(outcome, sizes_bytes=sizes)


# --- in the workers ---------------------------------------------------------------------------------

_separators: dict[BatchSettings, WarmSeparator] = {}
_loading = threading.Lock()


def perform_there(
    task: Task, settings: BatchSettings, writer: str, fetch: bool
) -> tuple[Outcome, dict[str, bytes]]:
    """Do a task on a worker; return its outcome and, if `fetch`, what is in the stems' files."""
    name_writer(writer)
    if not fetch or task.kind != "separate":
        return perform(task, settings, lambda: _separator(settings), _no_clock), {}
    with tempfile.TemporaryDirectory(prefix="rtsep-") as folder:
        files = {stem: str(Path(folder, f"{n}")) for n, stem in enumerate(task.targets)}
        there = dataclasses.replace(task, targets=files, skip_existing=False)
        outcome = perform(there, settings, lambda: _separator(settings), _no_clock)
        if outcome.error is not None:
            return outcome, {}
        if outcome.report is not None:
            targets: dict[str, Path | PipeTarget] = {
                stem: Path(target) for stem, target in task.targets.items()
            }
            report = dataclasses.replace(outcome.report, targets=targets)
            outcome = dataclasses.replace(outcome, report=report)
        return outcome, {stem: Path(file).read_bytes() for stem, file in files.items()}


def _separator(settings: BatchSettings) -> WarmSeparator:
    """The model of this process; those of other runs that used it before go."""
    from rtsep.batch.warm_separator import WarmSeparator

    with _loading:
        if settings not in _separators:
            while _separators:
                _separators.popitem()[1].close()
            separator = WarmSeparator(settings)
            separator.warm_up()
            _separators[settings] = separator
        return _separators[settings]


def _no_clock(sound_s: float | None) -> None:
    """The cluster limits no time."""


def _version() -> str:
    return rtsep.__version__
