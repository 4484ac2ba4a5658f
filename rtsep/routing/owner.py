"""Whose devices these are: the processes that own them, in the devices' own properties.

A process is known by its number and by when it started, because numbers are used again.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

PROPERTY = "rtsep.owner"
_TOKEN = re.compile(re.escape(PROPERTY) + r"=(\d+)\.(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class Process:
    """A process of this machine.

    started: when, in clock ticks since the machine was started; 0 for a process that is gone.
    """

    number: int
    started: int

    @classmethod
    def of(cls, number: int) -> Process:
        """The process that has this number now."""
        return cls(number, _started(number))

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.started > 0 and _started(self.number) == self.started


@dataclass(frozen=True)
class Owner:
    """The main process of an rtsep, and the routing process beside it."""

    main: Process
    routing: Process

    @classmethod
    def here(cls, main: int) -> Owner:
        """The owner of what this process makes for the process `main`."""
        return cls(Process.of(main), Process.of(os.getpid()))

    @classmethod
    def named_in(cls, text: str) -> Owner | None:
        """The owner that a module's argument or a file's name tells; None if it tells none."""
        found = _TOKEN.search(text)
        if found is None:
            return None
        main, main_started, routing, routing_started = map(int, found.groups())
        return cls(Process(main, main_started), Process(routing, routing_started))

    def __str__(self) -> str:
        main, routing = self.main, self.routing
        return f"{PROPERTY}={main.number}.{main.started}.{routing.number}.{routing.started}"

    def is_alive(self) -> bool:
        """Whether one of its processes is left to put things back."""
        return self.main.is_alive() or self.routing.is_alive()


def _started(number: int) -> int:
    """When a process was started; 0 if there is none, or if it has ended and nobody has noticed."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # The program's name stands in brackets and may hold anything, also brackets.
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])
