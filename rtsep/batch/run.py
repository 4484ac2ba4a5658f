"""One run over many inputs: hands tasks to an executor, and writes down what becomes of them.

            +-> hash, if another is as long,  --+-> separate --+-> done
  waiting --+   or its time has changed         |              +-> failed -> again, up to `retries`
            +-----------------------------------+-> duplicate (the same content is done) -> done

The journal is written before a task begins and after it has ended; all of this on one thread.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Literal, Protocol

from rtsep.batch.executor import Executor
from rtsep.batch.journal import DONE, FAILED, RUNNING, WAITING, Journal, Row
from rtsep.batch.plan import Item, Plan, remove_parts, same_size
from rtsep.batch.task import Outcome, Task
from rtsep.offline.separate_file import SeparationReport

Duplicates = Literal["copy", "link", "separate"]
# How often progress is looked at while nothing ends.
TICK_S = 0.5


@dataclass
class Totals:
    """What a run has done so far.

    inputs: all that were asked for.  before: those that were done already.  done, failed, skipped,
    duplicates: of this run; skipped ones had their stems, duplicates got those of another.
    bytes_done, bytes_left: of input files.  sound_s, elapsed_s: separated, and since the beginning.
    """

    inputs: int = 0
    before: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    duplicates: int = 0
    bytes_done: int = 0
    bytes_left: int = 0
    sound_s: float = 0.0
    elapsed_s: float = 0.0

    @property
    def left(self) -> int:
        """Inputs that are neither done nor failed."""
        ended = self.before + self.done + self.failed + self.skipped + self.duplicates
        return self.inputs - ended

    @property
    def left_s(self) -> float | None:
        """Seconds until the end, as it went so far; None before anything is done."""
        if not self.bytes_done:
            return None
        return self.elapsed_s * self.bytes_left / self.bytes_done


class Watcher(Protocol):
    """Is told what becomes of the inputs."""

    def done(self, row: Row, source: str, report: SeparationReport | None, how: str) -> None:
        """An input has its stems. how: "separated", "skipped" or "duplicate"."""
        ...

    def failed(self, row: Row, source: str, again: bool) -> None:
        """An input has failed. again: it will be tried again."""
        ...

    def tick(self, totals: Totals) -> None:
        """Called now and then."""
        ...


@dataclass(slots=True)
class _InWork:
    """A task that was submitted. duplicate_of: the item whose stems it takes."""

    item: Item
    kind: str
    duplicate_of: Item | None = None


@dataclass(slots=True)
class _Original:
    """The first input with some content. waiting: others with the same, until it is done."""

    item: Item
    waiting: list[Item] = field(default_factory=list)


class Run:
    """See above.

    plan: what is done and what is left.  retries: how often a failed input is tried again.
    duplicates: what becomes of inputs with the same content.  skip_existing: see Task.
    """

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        watcher: Watcher,
        *,
        retries: int = 1,
        duplicates: Duplicates = "copy",
        skip_existing: bool = False,
    ):
        self._journal, self._watcher = journal, watcher
        self._retries, self._duplicates = retries, duplicates
        self._skip_existing = skip_existing
        self._waiting = deque(plan.left)
        self._copies: deque[tuple[Item, Item]] = deque()
        # By attempts, then by length: what takes a worker down by its length comes last.
        self._again: list[tuple[int, int, int, Item]] = []
        self._in_work: dict[int, _InWork] = {}
        self._number = 0
        self._originals: dict[str, _Original] = {}
        self._to_hash: set[int] = set()
        if duplicates != "separate":
            self._to_hash = same_size([*plan.done, *(item.row for item in plan.left)])
            for row in plan.done:
                if row.content is not None and row.size_bytes in self._to_hash:
                    self._originals.setdefault(row.content, _Original(Item(row.name, row)))
        self.totals = Totals(
            inputs=len(plan.done) + len(plan.left),
            before=len(plan.done),
            bytes_left=sum(item.row.size_bytes or 0 for item in plan.left),
        )
        self._began_s = time.monotonic()

    def go(self, executor: Executor) -> Totals:
        """Do all that is left; whatever happens, the journal says what was done and what was not."""
        self._journal.begin_run(executor.workers, len(self._waiting))
        try:
            while self._waiting or self._copies or self._again or self._in_work:
                self._submit(executor)
                for number, outcome in executor.wait(TICK_S):
                    self._end(self._in_work[number], outcome)
                    del self._in_work[number]
                self.totals.elapsed_s = time.monotonic() - self._began_s
                self._watcher.tick(self.totals)
        finally:
            # An interrupt may have come while any of them was begun, or ended.
            rows = [work.item.row for work in self._in_work.values()]
            for row in rows:
                if row.state == RUNNING:
                    row.state = WAITING
            self._journal.put(rows)
            self._journal.end_run()
        return self.totals

    def _submit(self, executor: Executor) -> None:
        for _ in range(executor.room()):
            work = self._next()
            if work is None:
                return
            self._number += 1
            self._in_work[self._number] = work
            if work.kind != "hash":
                row = work.item.row
                row.state, row.began_s = RUNNING, time.time()
                row.attempts += work.kind == "separate"
                self._journal.put([row])
            executor.submit(self._number, self._task(work))

    def _next(self) -> _InWork | None:
        if self._copies:
            item, original = self._copies.popleft()
            return _InWork(item, "duplicate", original)
        if self._waiting:
            item = self._waiting.popleft()
            row = item.row
            if row.content is None and (item.before or row.size_bytes in self._to_hash):
                return _InWork(item, "hash")
            return _InWork(item, "separate")
        if self._again:
            return _InWork(heapq.heappop(self._again)[-1], "separate")
        return None

    def _task(self, work: _InWork) -> Task:
        row = work.item.row
        originals: dict[str, str] = {}
        if work.duplicate_of is not None:
            originals = {s: target for s, (target, _) in work.duplicate_of.row.outputs.items()}
        return Task(
            work.kind,
            work.item.source,
            {stem: target for stem, (target, _size) in row.outputs.items()},
            originals,
            row.size_bytes or 0,
            self._skip_existing,
            self._duplicates == "link",
        )

    def _end(self, work: _InWork, outcome: Outcome) -> None:
        if work.kind == "hash":
            self._hashed(work.item, outcome)
        elif outcome.error is None:
            self._done(work, outcome)
        elif work.kind == "duplicate":
            # The original's stems have gone meanwhile, or cannot be linked.
            self._waiting.appendleft(work.item)
        else:
            self._failed(work.item, outcome.error)

    def _hashed(self, item: Item, outcome: Outcome) -> None:
        row = item.row
        if outcome.content is None:
            row.attempts += 1
            self._failed(item, outcome.error or "")
            return
        row.content = outcome.content
        if item.before is not None and item.before.content == row.content:
            self._unchanged(item, item.before)
            return
        original = self._originals.get(row.content)
        if original is None:
            self._originals[row.content] = _Original(item)
            self._waiting.appendleft(item)
        elif original.item.row.state == DONE:
            self._copies.append((item, original.item))
        elif original.item.row.state == FAILED:
            self._waiting.appendleft(item)
        else:
            original.waiting.append(item)

    def _unchanged(self, item: Item, before: Row) -> None:
        """Keep the row of an input that was done, with the time that it bears now."""
        before.modified_ns = item.row.modified_ns
        item.row = before
        self._journal.put([before])
        self.totals.before += 1
        self.totals.bytes_left -= before.size_bytes or 0

    def _done(self, work: _InWork, outcome: Outcome) -> None:
        row, report = work.item.row, outcome.report
        row.state, row.ended_s, row.error = DONE, time.time(), None
        row.content = row.content or outcome.content
        row.outputs = {
            stem: (target, outcome.sizes_bytes[stem]) for stem, (target, _) in row.outputs.items()
        }
        how = "skipped" if outcome.skipped else "separated"
        if work.kind == "duplicate":
            how = "duplicate"
            self.totals.duplicates += 1
        elif outcome.skipped:
            self.totals.skipped += 1
        else:
            self.totals.done += 1
        if report is not None:
            row.sound_s, row.worked_s = report.duration_s, report.elapsed_s
            self.totals.sound_s += report.duration_s
            self.totals.bytes_done += row.size_bytes or 0
        self.totals.bytes_left -= row.size_bytes or 0
        self._journal.put([row])
        self._watcher.done(row, work.item.source, report, how)
        self._release(work.item)

    def _failed(self, item: Item, error: str) -> None:
        row = item.row
        row.state, row.ended_s, row.error = FAILED, time.time(), error
        remove_parts((target for target, _ in row.outputs.values()), self._journal.identity)
        self._journal.put([row])
        again = row.attempts <= self._retries
        if again:
            self._number += 1
            heapq.heappush(self._again, (row.attempts, row.size_bytes or 0, self._number, item))
        else:
            self.totals.failed += 1
            self.totals.bytes_left -= row.size_bytes or 0
        self._watcher.failed(row, item.source, again)
        if not again:
            self._release(item)

    def _release(self, item: Item) -> None:
        """What has waited for this one is done from it, or, if it has failed, by itself."""
        original = self._originals.get(item.row.content or "")
        if original is None or original.item is not item:
            return
        for waiting in original.waiting:
            if item.row.state == DONE:
                self._copies.append((waiting, item))
            else:
                self._waiting.append(waiting)
        original.waiting.clear()
