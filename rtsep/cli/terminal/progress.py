"""How far a file or a download has come, on stderr: bars on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rtsep.weights.download import ByteProgress

# Without a terminal: a line whenever the file has come this much further ...
PLAIN_STEP_PERCENT = 10
# ... or, where its length is unknown, whenever so much more of it is done.
PLAIN_STEP_S = 60.0
# A download has a line at its start and whenever this much more has come.
DOWNLOAD_STEP_PERCENT = 25


class FileProgress(Protocol):
    """Takes the seconds done so far and those expected in all, or None where unknown."""

    def __call__(self, done_s: float, expected_s: float | None) -> None:
        """Show it."""
        ...


@contextmanager
def show_progress(title: str, quiet: bool, plain: bool = False) -> Iterator[FileProgress]:
    """Give a function to call with the progress of one file, called `title`. plain: in lines."""
    if quiet:
        yield _show_nothing
    elif sys.stderr.isatty() and not plain:
        with _bar(title) as progress:
            yield progress
    else:
        yield _PlainLines(title)


def clock(seconds: float) -> str:
    """Return a time span as ``3:25`` or ``1:03:25``."""
    minutes, whole_seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{whole_seconds:02}"
    return f"{minutes}:{whole_seconds:02}"


def _show_nothing(done_s: float, expected_s: float | None) -> None:
    pass


@contextmanager
def _bar(title: str) -> Iterator[FileProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        # No markup: names of songs have brackets.
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[position]}", markup=False),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bars:
        task = bars.add_task(title, total=None, position="")

        def show(done_s: float, expected_s: float | None) -> None:
            total = None if expected_s is None else max(expected_s, done_s)
            position = clock(done_s) + ("" if total is None else f" of {clock(total)}")
            bars.update(task, completed=done_s, total=total, position=position)

        yield show


class _PlainLines:
    """A line at every step; see the constants above."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._started = time.monotonic()
        self._step = 0

    def __call__(self, done_s: float, expected_s: float | None) -> None:
        if not expected_s:
            step = int(done_s / PLAIN_STEP_S)
            text = f"{clock(done_s)} done"
        else:
            part = min(1.0, done_s / expected_s)
            step = int(100 * part / PLAIN_STEP_PERCENT)
            elapsed_s = time.monotonic() - self._started
            left_s = elapsed_s * (1 - part) / part if part else 0.0
            text = f"{step * PLAIN_STEP_PERCENT} %, {clock(left_s)} to go"
        if step > self._step:
            self._step = step
            print(f"{self._title}: {text}", file=sys.stderr, flush=True)


# --- downloads ----------------------------------------------------------------------------------


@contextmanager
def download_progress(plain: bool = False) -> Iterator[ByteProgress]:
    """Gives the callback for rtsep.weights.library; what it draws ends with the block.

    plain: lines in place of bars.
    """
    if sys.stderr.isatty() and not plain:
        with _download_bars() as progress:
            yield progress
    else:
        yield _download_lines()


@contextmanager
def _download_bars() -> Iterator[ByteProgress]:
    # Imported here: rich takes a while, and most calls have nothing to show.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    announced: set[str] = set()
    with Bars(*columns, console=Console(stderr=True)) as bars:

        def progress(done_bytes: int, total_bytes: int | None, what: str) -> None:
            if not done_bytes and total_bytes is None:
                # Nothing to measure (yet): a line is enough.
                if what not in announced:
                    bars.console.print(what, markup=False, highlight=False)
                    announced.add(what)
                return
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total_bytes)
            bars.update(tasks[what], completed=done_bytes, total=total_bytes)

        yield progress


def _download_lines() -> ByteProgress:
    reached: dict[str, int] = {}

    def progress(done_bytes: int, total_bytes: int | None, what: str) -> None:
        share = 100 * done_bytes // total_bytes if total_bytes else 0
        step = share // DOWNLOAD_STEP_PERCENT * DOWNLOAD_STEP_PERCENT
        if step <= reached.get(what, -1):
            return
        reached[what] = step
        amount = f": {step} % of {total_bytes / 1e6:.1f} MB" if total_bytes else ""
        print(f"{what}{amount}", file=sys.stderr, flush=True)

    return progress
