"""How a training goes, on stderr: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rtsep.cli.terminal.progress import clock, show_progress

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from rtsep.training.recipe import Recipe
    from rtsep.training.trainer import Watcher

# The loss that is shown is a mean of about so many steps.
SHOWN_STEPS = 20
DAY_S = 86_400


@contextmanager
def show_decoding(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Gives the function to call with the songs decoded so far and all of them."""
    if quiet or not sys.stderr.isatty():
        with show_progress("decoding songs", quiet) as progress:
            yield progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("decoding songs"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None)
        yield lambda done, expected: bars.update(task, completed=done, total=expected)


@contextmanager
def show_training(recipe: Recipe, first_step: int, quiet: bool) -> Iterator[Watcher]:
    """Gives the watcher of a training."""
    if quiet or not sys.stderr.isatty():
        yield _Lines(recipe, quiet)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("loss {task.fields[loss]}", markup=False),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=recipe.steps, completed=first_step, loss="")
        yield _Bar(recipe, bars, task)


class _Lines:
    """A line at the beginning and at every evaluation."""

    def __init__(self, recipe: Recipe, quiet: bool = False):
        self._recipe, self._quiet = recipe, quiet

    def foretold(self, step_s: float, evaluation_s: float, left_s: float) -> None:
        """See Watcher."""
        evaluation = f", {_span(evaluation_s)} an evaluation" if evaluation_s >= 1 else ""
        self._print(f"{step_s:.2f} s a step{evaluation}: about {_span(left_s)} to go")

    def stepped(self, step: int, loss: float) -> None:
        """See Watcher."""

    def evaluated(
        self, step: int, loss: float, sdr_db: dict[str, float], best: bool, left_s: float
    ) -> None:
        """See Watcher."""
        figures = ", ".join(f"{stem} {value:.2f} dB" for stem, value in sdr_db.items())
        held_out = f"; held out: {figures}{' (the best so far)' if best else ''}" if figures else ""
        left = f"; {_span(left_s)} to go" if step < self._recipe.steps else ""
        self._print(f"step {step} of {self._recipe.steps}: loss {loss:.4g}{held_out}{left}")

    def _print(self, line: str) -> None:
        if not self._quiet:
            print(line, file=sys.stderr, flush=True)


class _Bar(_Lines):
    """The same lines above a bar."""

    def __init__(self, recipe: Recipe, bars: Progress, task: TaskID):
        super().__init__(recipe)
        self._bars, self._task = bars, task
        self._mean: float | None = None

    def stepped(self, step: int, loss: float) -> None:
        """See Watcher."""
        mean = loss if self._mean is None else self._mean + (loss - self._mean) / SHOWN_STEPS
        self._mean = mean
        self._bars.update(self._task, completed=step, loss=f"{mean:.4g}")

    def _print(self, line: str) -> None:
        self._bars.console.print(line, markup=False, highlight=False)


def _span(seconds: float) -> str:
    """A time span in words that suit its length."""
    if seconds >= 2 * DAY_S:
        return f"{seconds / DAY_S:.1f} days"
    return f"{seconds:.0f} s" if seconds < 100 else clock(seconds)
