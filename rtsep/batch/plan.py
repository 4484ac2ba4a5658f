"""What is left to do of what was asked for, by what the journal knows.

An input is done if its row says so, with the same settings and the same files for its stems, if every
one of them is there with the length that was recorded, and if the input itself has the content that it
had. One that bears another time, and is as long as it was, is hashed to find that out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtsep.batch import storage
from rtsep.batch.inputs import Input
from rtsep.batch.journal import DONE, RUNNING, WAITING, Journal, Row
from rtsep.system.part_file import killed_parts


@dataclass(frozen=True)
class Planned:
    """An input and the file of each of its stems."""

    entry: Input
    targets: Mapping[str, str]


@dataclass(slots=True)
class Item:
    """An input that is left to do.

    source: its name as it was given.  row: in the journal.  before: the row of when it was done, which
    counts if the content is still the same.
    """

    source: str
    row: Row
    before: Row | None = None


@dataclass
class Plan:
    """done: rows of inputs that were done before; left: the others, the longest file first."""

    done: list[Row]
    left: list[Item]


def key_of(name: str) -> str:
    """How the journal calls a file, wherever a run is started."""
    return name if storage.has_scheme(name) or not name else os.path.abspath(name)


def make_plan(planned: Sequence[Planned], journal: Journal, settings: str) -> Plan:
    """Compare what is asked for with the journal, and write into it what is left.

    What processes that were killed have left half written is removed. settings: their digest.
    """
    before = {row.name: row for row in journal.rows()}
    plan = Plan([], [])
    asked_for = set()
    for one in planned:
        row = Row(
            key_of(one.entry.name),
            WAITING,
            settings,
            {stem: (key_of(target), None) for stem, target in one.targets.items()},
            one.entry.size_bytes,
            one.entry.modified_ns,
        )
        asked_for.add(row.name)
        old = before.get(row.name)
        if old is not None and old.state == RUNNING:
            remove_parts(_files(old).values(), journal.identity)
        if old is None or not _is_done(old, row):
            plan.left.append(Item(one.entry.name, row))
        elif old.modified_ns != row.modified_ns:
            plan.left.append(Item(one.entry.name, row, old))
        else:
            plan.done.append(old)
    # The longest first, so that at the end no worker is left alone with it.
    plan.left.sort(key=lambda item: -(item.row.size_bytes or 0))
    journal.put(item.row for item in plan.left)
    journal.forget(
        name for name, row in before.items() if row.state == WAITING and name not in asked_for
    )
    return plan


def remove_parts(targets: Iterable[str], writer: str) -> None:
    """Remove what killed processes have left half written of these files. writer: their name."""
    for target in targets:
        if not storage.has_scheme(target):
            for part in killed_parts(Path(target), writer):
                part.unlink(missing_ok=True)


def _is_done(old: Row, new: Row) -> bool:
    """Whether an input is done, if its content is what it was."""
    return (
        old.state == DONE
        and old.settings == new.settings
        and _files(old) == _files(new)
        and old.size_bytes == new.size_bytes
        and all(storage.size_of(target) == size for target, size in old.outputs.values())
    )


def _files(row: Row) -> dict[str, str]:
    return {stem: target for stem, (target, _size) in row.outputs.items()}


def same_size(rows: Iterable[Row]) -> set[int]:
    """Lengths in bytes that more than one of the rows has."""
    seen: set[int] = set()
    twice: set[int] = set()
    for row in rows:
        if row.size_bytes is not None:
            (twice if row.size_bytes in seen else seen).add(row.size_bytes)
    return twice
