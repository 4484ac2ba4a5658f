"""What journals say in sum: done, left, failed, and when it will have ended. And several made one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rtsep.batch.journal import DONE, FAILED, RUNNING, STATES, Journal, Row, Run, read_journal


@dataclass
class Status:
    """The sum of some journals.

    counts: inputs by state.  bytes_left: of input files that are waiting or running.  sound_s: seconds
    of sound separated.  worked_s: that workers took for it.  failed: their rows.
    writing: how many of the journals a run writes to now.  left_s: seconds to the end, as far as one
    can tell by the runs that go on; None where none does, or nothing is done yet.
    """

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    bytes_left: int = 0
    sound_s: float = 0.0
    worked_s: float = 0.0
    failed: list[Row] = field(default_factory=list)
    writing: int = 0
    left_s: float | None = None


def status_of(paths: Sequence[Path]) -> Status:
    """The sum of the journals; raises RtsepError where one cannot be read."""
    status = Status()
    for path in paths:
        rows, runs, is_written = read_journal(path)
        status.writing += is_written
        bytes_left = 0
        for row in rows:
            status.counts[row.state] += 1
            if row.state == FAILED:
                status.failed.append(row)
            elif row.state == DONE:
                status.sound_s += row.sound_s or 0.0
                status.worked_s += row.worked_s or 0.0
            else:
                bytes_left += row.size_bytes or 0
        status.bytes_left += bytes_left
        left_s = _left_s(rows, runs, bytes_left) if is_written else None
        if left_s is not None:
            # Journals are written side by side: the last one ends it.
            status.left_s = max(status.left_s or 0.0, left_s)
    return status


def _left_s(rows: Iterable[Row], runs: Sequence[Run], bytes_left: int) -> float | None:
    """As long as the newest run took for what it has done, for what is left."""
    if not runs:
        return None
    began_s = runs[-1].began_s
    done = sum(
        row.size_bytes or 0
        for row in rows
        if row.state == DONE and row.worked_s and (row.ended_s or 0.0) >= began_s
    )
    return (time.time() - began_s) * bytes_left / done if done else None


# What is worth more where two journals know an input.
_WORTH = (DONE, FAILED, RUNNING)


def merge_into(journal: Journal, paths: Iterable[Path]) -> int:
    """Put the rows of other journals into one; return how many it has then.

    Where several know an input, one that is done counts, then one that failed, then the newest. What
    was running when its journal was left is waiting again.
    """
    merged = {row.name: row for row in journal.rows()}
    for path in paths:
        for row in read_journal(path)[0]:
            known = merged.get(row.name)
            if known is None or _rank(row) > _rank(known):
                merged[row.name] = row
    journal.put(merged.values())
    return len(merged)


def _rank(row: Row) -> tuple[int, float]:
    worth = len(_WORTH) - _WORTH.index(row.state) if row.state in _WORTH else 0
    return worth, row.ended_s or row.began_s or 0.0
