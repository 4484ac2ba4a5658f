"""All cases of `rtsep-bench quality`: what is kept, what is measured by how many processes, how long it
takes."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from rtsep_bench.kept_results import KeptResults
from rtsep_bench.quality_case import Case, Setting
from rtsep_bench.quality_child import CaseError, Child, measure_here
from rtsep_bench.report import Row

# A signal is noticed after so long at most.
POLL_S = 0.2


@dataclass
class Outcome:
    """rows: of every case and setting, in the order of the cases.  unusable: reasons, by song."""

    rows: list[Row] = field(default_factory=list)
    unusable: dict[str, list[str]] = field(default_factory=dict)


# What a worker hands over: a case, what was found, and None at the end of it.
_Message = tuple[Case, Row | CaseError | None]


def run(cases: Sequence[Case], jobs: int, kept: KeptResults, say: Callable[[str], None]) -> Outcome:
    """Measure every setting of every case that is not kept; keep each row at once.

    jobs: processes; 1 measures in this one. `say` is told each row and each reason.
    """
    rows: dict[tuple[str, Setting], Row] = {}
    left: list[Case] = []
    for case in cases:
        found = {setting: kept.row(case, setting) for setting in case.settings}
        rows |= {(case.name, setting): row for setting, row in found.items() if row is not None}
        missing = [setting for setting, row in found.items() if row is None]
        if missing:
            left.append(case.only(missing))
    if rows:
        say(f"{len(rows)} rows are taken from an earlier run")
    outcome, progress = Outcome(), _Progress(sum(len(case.settings) for case in left))
    for case, found_now in _measured(left, min(jobs, len(left))):
        if isinstance(found_now, Row):
            setting = Setting.of(found_now)
            rows[case.name, setting] = found_now
            kept.keep(case, setting, found_now)
            how = "" if setting.ratio is None else f" {setting.label}"
            sdr = f"{found_now.more['sdr_db']:.2f} dB"
            say(f"{progress.step()} {case.name}: {setting.contender}{how}: {sdr}")
        elif found_now is not None:
            reasons = outcome.unusable.setdefault(case.files.name, [])
            if str(found_now) not in reasons:  # which all its speeds may have
                reasons.append(str(found_now))
                say(f"{case.files.name}: {found_now}")
    order = [(case.name, setting) for case in cases for setting in case.settings]
    outcome.rows += [rows[key] for key in order if key in rows]
    return outcome


class _Progress:
    def __init__(self, total: int):
        self._total, self._done, self._began_s = total, 0, time.monotonic()

    def step(self) -> str:
        """One more is done: how many of how many, and how long the others will take."""
        self._done += 1
        left = self._total - self._done
        left_s = (time.monotonic() - self._began_s) / self._done * left
        time_left = f", {left_s / 60:.0f} min left" if left_s >= 60 else ""
        return f"[{self._done}/{self._total}{time_left}]"


def _measured(cases: Sequence[Case], jobs: int) -> Iterator[_Message]:
    if jobs <= 1:
        for case in cases:
            for found in measure_here(case):
                yield case, found
        return
    waiting: queue.Queue[Case] = queue.Queue()
    for case in cases:
        waiting.put(case)
    done: queue.Queue[_Message | BaseException] = queue.Queue()
    children = [Child() for _ in range(jobs)]
    threads = [threading.Thread(target=_work, args=(child, waiting, done)) for child in children]
    try:
        for thread in threads:
            thread.start()
        ends = 0
        while ends < len(cases):
            with contextlib.suppress(queue.Empty):
                message = done.get(timeout=POLL_S)
                if isinstance(message, BaseException):
                    raise message
                ends += message[1] is None
                yield message
    finally:
        with waiting.mutex:
            waiting.queue.clear()
        for child in children:
            child.kill()
        for child, thread in zip(children, threads, strict=True):
            if thread.ident is not None:
                thread.join()
            child.close()


def _work(
    child: Child, waiting: queue.Queue[Case], done: queue.Queue[_Message | BaseException]
) -> None:
    try:
        with contextlib.suppress(queue.Empty):
            while True:
                case = waiting.get_nowait()
                for found in child.measure(case):
                    done.put((case, found))
                done.put((case, None))
    except BaseException as error:  # for the main thread to raise
        done.put(error)
