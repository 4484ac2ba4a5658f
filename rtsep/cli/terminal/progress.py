"""How far a file has come, on stderr: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

# Without a terminal: a line whenever the file has come this much further ...
PLAIN_STEP_PERCENT = 10
# ... or, where its length is unknown, whenever so much more of it is done.
PLAIN_STEP_S = 60.0


class Progress(Protocol):
    """Takes the seconds done so far and those expected in all, or None where unknown."""

    def __call__(self, done_s: float, expected_s: float | None) -> None:
        """Show it."""
        ...


@contextmanager
def show_progress(title: str, quiet: bool) -> Iterator[Progress]:
    """Give a function to call with the progress of one file, called `title`."""
    if quiet:
        yield _show_nothing
    elif sys.stderr.isatty():
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
def _bar(title: str) -> Iterator[Progress]:
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
