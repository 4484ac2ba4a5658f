"""What a person, or a program, is told while many files are separated."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from rtsep.batch.journal import Row
from rtsep.batch.run import Totals
from rtsep.batch.settings import BatchSettings
from rtsep.cli.separate_report import complain, print_report, printable, say, warn
from rtsep.cli.terminal.progress import clock
from rtsep.files.formats import find_format
from rtsep.offline.separate_file import SeparationReport

# A line of progress on stderr: so often on a terminal, where it overwrites the last one, and elsewhere.
TERMINAL_S, ELSEWHERE_S = 0.5, 60.0


class Lines:
    """As for a few files: a report for each, warnings, failures; and how far all of it is."""

    def __init__(self, settings: BatchSettings, quiet: bool):
        self._settings, self._quiet = settings, quiet
        self._format = find_format(settings.format)
        self._told_s = time.monotonic()
        self._on_terminal = sys.stderr.isatty() and not quiet
        self._line = ""

    def done(self, row: Row, source: str, report: SeparationReport | None, how: str) -> None:
        """Report on it."""
        self._clear()
        if report is not None:
            warn(report, self._format)
        if self._quiet:
            return
        if report is not None:
            print_report(report, str(self._settings.precision))
            return
        reason = "has its stems already" if how == "skipped" else "has the stems of its duplicate"
        say(
            f"{source}: {reason}", *(f"  {stem}  {file}" for stem, (file, _) in row.outputs.items())
        )

    def failed(self, row: Row, source: str, again: bool) -> None:
        """Say why; what is tried again is no error yet."""
        if not again:
            self._clear()
            complain(f"error: {row.error}")

    def tick(self, totals: Totals) -> None:
        """Say how far it is, if it is time to."""
        now_s = time.monotonic()
        pause_s = TERMINAL_S if self._on_terminal else ELSEWHERE_S
        if self._quiet or now_s - self._told_s < pause_s:
            return
        self._told_s = now_s
        line = described(totals)
        if self._on_terminal:
            self._clear()
            print(line, end="", file=sys.stderr, flush=True)
            self._line = line
        else:
            print(line, file=sys.stderr, flush=True)

    def end(self, totals: Totals) -> None:
        """Say what was done in all."""
        self._clear()
        if not self._quiet:
            print(described(totals), file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._line:
            print("\r" + " " * len(self._line) + "\r", end="", file=sys.stderr, flush=True)
            self._line = ""


class JsonLines:
    """One JSON object a line on stdout; what a person should know goes to stderr."""

    def __init__(self, settings: BatchSettings, quiet: bool):
        self._format = find_format(settings.format)

    def done(self, row: Row, source: str, report: SeparationReport | None, how: str) -> None:
        """Print the row."""
        if report is not None:
            warn(report, self._format)
        self._print(event=how, **as_json(row))

    def failed(self, row: Row, source: str, again: bool) -> None:
        """Print the row."""
        self._print(event="failed", again=again, **as_json(row))

    def tick(self, totals: Totals) -> None:
        """Programs count by themselves."""

    def end(self, totals: Totals) -> None:
        """Print the totals."""
        self._print(event="end", **vars(totals), left=totals.left)

    def _print(self, **values: Any) -> None:
        print(json.dumps(values), flush=True)


def as_json(row: Row) -> dict[str, Any]:
    """A row as an object for JSON; bytes of names that are no text are lone surrogates."""
    return {
        "input": row.name,
        "state": row.state,
        "outputs": {
            stem: {"file": file, "bytes": size} for stem, (file, size) in row.outputs.items()
        },
        "bytes": row.size_bytes,
        "sha256": row.content,
        "attempts": row.attempts,
        "began_s": row.began_s,
        "ended_s": row.ended_s,
        "sound_s": row.sound_s,
        "worked_s": row.worked_s,
        "error": row.error,
    }


def described(totals: Totals) -> str:
    """The totals in one line."""
    now = totals.done + totals.skipped + totals.duplicates
    parts = [f"{now + totals.before:,} of {totals.inputs:,} done"]
    for count, what in (
        (totals.before, "before this run"),
        (totals.skipped, "had their stems"),
        (totals.duplicates, "duplicates"),
        (totals.failed, "failed"),
    ):
        if count:
            parts.append(f"{count:,} {what}")
    if totals.sound_s and totals.elapsed_s:
        rate = totals.sound_s / totals.elapsed_s
        parts.append(f"{clock(totals.sound_s)} of sound, {rate:.1f} times faster than real time")
    if totals.left and totals.left_s is not None:
        parts.append(f"{clock(totals.left_s)} to go")
    return printable(", ".join(parts))
