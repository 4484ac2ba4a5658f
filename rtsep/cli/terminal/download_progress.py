"""Showing a download on stderr: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rtsep.weights.download import Progress

# Without a terminal a line appears at the start and each time this much more has come.
PLAIN_STEP_PER_CENT = 25


@contextmanager
def download_progress() -> Iterator[Progress]:
    """Gives the callback for rtsep.weights.library; what it draws ends with the block."""
    if sys.stderr.isatty():
        with _bars() as progress:
            yield progress
    else:
        yield _plain_lines()


@contextmanager
def _bars() -> Iterator[Progress]:
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


def _plain_lines() -> Progress:
    reached: dict[str, int] = {}

    def progress(done_bytes: int, total_bytes: int | None, what: str) -> None:
        share = 100 * done_bytes // total_bytes if total_bytes else 0
        step = share // PLAIN_STEP_PER_CENT * PLAIN_STEP_PER_CENT
        if step <= reached.get(what, -1):
            return
        reached[what] = step
        amount = f": {step} % of {total_bytes / 1e6:.1f} MB" if total_bytes else ""
        print(f"{what}{amount}", file=sys.stderr, flush=True)

    return progress
