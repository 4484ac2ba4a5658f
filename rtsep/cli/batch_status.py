"""`rtsep-separate --status` and `--merge`: what journals say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rtsep.batch.journal import DONE, FAILED, RUNNING, WAITING, Journal
from rtsep.batch.status import Status, merge_into, status_of
from rtsep.cli.batch_report import as_json
from rtsep.cli.separate_report import say
from rtsep.cli.terminal.progress import clock


def print_status(paths: Sequence[Path], json_lines: bool) -> int:
    """Print the sum of the journals; return the exit status, 1 where inputs have failed."""
    status = status_of(paths)
    if json_lines:
        values = {
            **status.counts,
            "bytes_left": status.bytes_left,
            "sound_s": status.sound_s,
            "worked_s": status.worked_s,
            "runs": status.writing,
            "left_s": status.left_s,
        }
        rows = [{"event": "failed", **as_json(row)} for row in status.failed]
        for line in (*rows, {"event": "status", **values}):
            print(json.dumps(line))
    else:
        say(*_lines(status))
    return 1 if status.failed else 0


def _lines(status: Status) -> list[str]:
    counts = status.counts
    sound = ""
    if status.sound_s and status.worked_s:
        rate = status.sound_s / status.worked_s
        sound = (
            f", {clock(status.sound_s)} of sound, {rate:.1f} times faster than real time per worker"
        )
    left = f", {status.bytes_left / 1e6:,.0f} MB" if status.bytes_left else ""
    end = "no run is going on"
    if status.writing:
        end = "a run is going on"
        end += f", {clock(status.left_s)} to go" if status.left_s is not None else ""
    lines = [
        f"done     {counts[DONE]:,}{sound}",
        f"left     {counts[WAITING] + counts[RUNNING]:,}{left}",
        f"running  {counts[RUNNING]:,}; {end}" if status.writing else f"running  0; {end}",
        f"failed   {counts[FAILED]:,}",
    ]
    return lines + [f"  {row.error}" for row in status.failed]


def merge(paths: Sequence[Path], target: Path) -> int:
    """Put the journals' rows into `target`; return the exit status."""
    with Journal(target) as journal:
        count = merge_into(journal, paths)
    say(f"{target} has {count:,} inputs")
    return 0
