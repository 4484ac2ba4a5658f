"""What a subcommand found: rows for programs, tables for people, a plot for both."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO

from rtsep.environment import versions
from rtsep.errors import MissingLibraryError, RtsepError, UsageError
from rtsep.system.part_file import write_whole
from rtsep_bench.contenders import peer_versions
from rtsep_bench.machine import commit, describe_machine
from rtsep_bench.rounds import Timing

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

PLOT_SUFFIXES = (".png", ".pdf", ".svg")
# Where stdout is no terminal, rich would cut tables to 80 columns.
PLAIN_WIDTH = 160


@dataclass(frozen=True)
class Row:
    """One contender in one case.

    min_ms, median_ms: None where nothing was timed.
    max_abs_difference: to the reference named in the report's notes; None where there is none.
    peak_rss_mb: of a process that did nothing else, 10^6 bytes; None where not measured.
    more: further fields of the row's JSON object, by name.
    """

    contender: str
    case: str
    threads: int
    min_ms: float | None = None
    median_ms: float | None = None
    max_abs_difference: float | None = None
    peak_rss_mb: float | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def timed(cls, contender: str, case: str, threads: int, timing: Timing, **more: Any) -> Row:
        """A row with the figures of `timing`; what else a Row has may stand among `more`."""
        known = {
            name: more.pop(name) for name in ("max_abs_difference", "peak_rss_mb") if name in more
        }
        return cls(contender, case, threads, timing.min_ms, timing.median_ms, **known, more=more)

    def as_json(self) -> dict[str, Any]:
        """The row as an object for JSON."""
        own = {name: value for name, value in vars(self).items() if name != "more"}
        return own | self.more

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Row:
        """The row of which `as_json` made `values`."""
        own = {item.name for item in fields(cls)} - {"more"}
        more = {name: value for name, value in values.items() if name not in own}
        return cls(**{name: values[name] for name in own}, more=more)


def figures_table(title: str, names: Sequence[str], figures: Sequence[str]) -> Table:
    """A table without rows: the headings of names, to the left, then of figures, to the right."""
    from rich.table import Table

    table = Table(title=title)
    for heading in names:
        table.add_column(heading)
    for heading in figures:
        table.add_column(heading, justify="right")
    return table


@dataclass(frozen=True)
class Report:
    """All that one run of a subcommand found.

    settings: the options it ran with.  notes: one sentence each, printed under the tables.
    failures: what could not be measured, a line each; the program ends with status 1.
    machine: what it ran on, as from `describe_machine`; by default this one.
    """

    command: str
    settings: dict[str, Any]
    rows: list[Row]
    notes: list[str]
    failures: list[str] = field(default_factory=list)
    machine: Mapping[str, Any] = field(default_factory=describe_machine)

    def as_json(self) -> dict[str, Any]:
        """The report as an object for JSON, with machine, versions, commit and date."""
        return {
            "command": self.command,
            "settings": self.settings,
            "rows": [row.as_json() for row in self.rows],
            "notes": self.notes,
            "machine": self.machine,
            "versions": {**versions(), **peer_versions()},
            "commit": commit(),
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Report:
        """The report of which `as_json` made `values`, as far as tables and plots need it."""
        return cls(
            values["command"],
            values["settings"],
            [Row.from_json(row) for row in values["rows"]],
            values["notes"],
            machine=values["machine"],
        )


def check_outputs(json_file: Path | None, plot_file: Path | None) -> None:
    """Raise, before anything is measured, where the results could not be written afterwards.

    Raises UsageError for a folder that is not there or a plot of an unknown kind, RtsepError where
    writing is not allowed, MissingLibraryError where matplotlib is not installed.
    """
    for option, file in (("--json", json_file), ("--plot", plot_file)):
        if file is None:
            continue
        if file.is_dir() or not file.parent.is_dir():
            raise UsageError(f"{option} {file}: name a file in a folder that exists")
        if not os.access(file if file.exists() else file.parent, os.W_OK):
            raise RtsepError(f"{option} {file}: no permission to write there; choose another place")
    if plot_file is not None:
        if plot_file.suffix.lower() not in PLOT_SUFFIXES:
            raise UsageError(f"--plot {plot_file}: the name must end in {', '.join(PLOT_SUFFIXES)}")
        _figure()


def write_json(report: Report, file: Path) -> None:
    """Write the report; raises RtsepError where the disk does not take it."""
    text = json.dumps(report.as_json(), indent=2) + "\n"
    _write(file, lambda binary: binary.write(text.encode()))


def write_plot(report: Report, draw: Callable[[Report, Figure], None], file: Path) -> None:
    """Let `draw` fill a figure and write it; raises RtsepError where the disk does not take it."""
    figure = _figure()
    draw(report, figure)
    kind = file.suffix.lower().lstrip(".")
    _write(file, lambda binary: figure.savefig(binary, dpi=120, format=kind))


def _write(file: Path, write: Callable[[BinaryIO], object]) -> None:
    try:
        write_whole(file, write)
    except OSError as error:
        raise RtsepError(f"cannot write {file}: {error.strerror or error}") from error


def print_report(report: Report, tables: Iterable[Table]) -> None:
    """Print tables and notes on stdout."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PLAIN_WIDTH)
    for table in tables:
        console.print(table)
    for note in report.notes:
        console.print(note, markup=False)


def import_extra(module: str, extra: str, what_for: str) -> ModuleType:
    """Import a module of a package that only `extra` (pyproject.toml) brings along.

    what_for: what needs it, for the error.  Raises MissingLibraryError where it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise MissingLibraryError(
            f"{what_for} needs {module.partition('.')[0]}, which is not installed:"
            f" pip install 'rtsep[{extra}]'"
        ) from None


def _figure() -> Figure:
    figure: Figure = import_extra("matplotlib.figure", "plot", "--plot").Figure(
        layout="constrained"
    )
    return figure
