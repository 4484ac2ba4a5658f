"""The state of a running stream in plain lines on stderr, where there is no terminal to draw on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rtsep.cli.terminal.progress import clock
from rtsep.cli.terminal.stream_status import (
    LoadReader,
    lost_samples,
    not_recorded,
    percent,
    share_of_hops,
)

if TYPE_CHECKING:
    from rtsep.live.live_engine import LiveEngine
    from rtsep.live.recorder import Recorder

INTERVAL_S = 5.0


class PlainStatus:
    """The header once, then a line now and then."""

    def __init__(
        self,
        engine: LiveEngine,
        header: Sequence[str],
        interval_s: float = INTERVAL_S,
        recorder: Recorder | None = None,
    ):
        self._engine, self._header, self._interval_s = engine, header, interval_s
        self._recorder = recorder
        self._loads = LoadReader(engine)
        self._due_s: float | None = None

    def start(self) -> None:
        """Print the header."""
        for line in self._header:
            _print(line)

    def refresh(self, now_s: float) -> None:
        """Print a line if the last one, or the start, is `interval_s` ago."""
        if self._due_s is None:
            self._due_s = now_s + self._interval_s
        if now_s >= self._due_s:
            self._due_s = now_s + self._interval_s
            _print(self._line(now_s))

    def toggle_freeze(self) -> None:
        """Lines do not move."""

    def stop(self) -> None:
        """Nothing was taken hold of."""

    def _line(self, now_s: float) -> str:
        engine, counters = self._engine, self._engine.counters
        levels = ", ".join(f"{name} {level:.1f}" for name, level in engine.levels_dbfs().items())
        callback, *workers = self._loads.read(now_s)
        running = [load for load in workers if load is not None]
        loads = [("callback", callback)] if callback else []
        if running:
            loads.append(("workers", max(running, key=lambda load: load.p50)))
        described = [
            f"{name} {percent(load.p50)} (max {percent(load.worst)})" for name, load in loads
        ]
        late = (
            f"late masks {counters.late_masks}{share_of_hops(counters.late_masks, counters.hops)}"
        )
        xruns = f"xruns {sum(counters.xruns.values())}"
        bad = [f"bad samples {counters.bad_samples}"] if counters.bad_samples else []
        parts = [clock(engine.played_s), f"{levels} dBFS", *described, late, xruns, *bad]
        lost = lost_samples(self._recorder)
        return "; ".join([*parts, not_recorded(lost)] if lost else parts)


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
