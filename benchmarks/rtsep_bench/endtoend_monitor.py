"""`rtsep-monitor` as `rtsep-bench endtoend` starts it, and what it is told."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsep.errors import RtsepError
from rtsep_bench import child
from rtsep_bench.endtoend_routes import Route, read_server
from rtsep_bench.heard import GAIN_DB

MONITOR = "rtsep.cli.monitor"
END_S = 30.0


@dataclass(frozen=True)
class RunSettings:
    """What is measured.

    server, route: as spelt out.  plan: for --latency.  options: further ones of rtsep-monitor.
    stems: those of the model, all heard.  duration_s: of the impulses.
    """

    server: str
    route: str
    model: str
    stems: Sequence[str]
    plan: str
    options: Sequence[str]
    duration_s: float


class Monitor:
    """`rtsep-monitor` as a person starts it."""

    def __init__(self, settings: RunSettings, route: Route, folder: Path):
        self._stats, self._messages = folder / "stats.json", folder / "messages"
        words = [
            "--quiet", "--model", settings.model, "--latency", settings.plan,
            "--stats", str(self._stats), *route.options(read_server(settings.server)),
            # Everything is heard, so that an impulse stays one.
            "--no-auto-level", "--mask-extension", "average",
        ]  # fmt: skip
        for stem in settings.stems:
            words += ["--stem", stem, "--gain", f"{stem}={GAIN_DB:g}"]
        with self._messages.open("wb") as messages:
            self.started_s = time.monotonic()
            self._process = subprocess.Popen(
                child.command(MONITOR, *words, *settings.options),
                stdin=subprocess.DEVNULL, stdout=messages, stderr=messages, start_new_session=True,
            )  # fmt: skip

    def check(self) -> None:
        """Raise RtsepError if it has ended."""
        if self._process.poll() is not None:
            said = child.last_line(self._messages.read_text(errors="replace"), "it said nothing")
            raise RtsepError(
                f"rtsep-monitor ended with exit status {self._process.returncode}: {said}"
            )

    def end(self) -> dict[str, Any]:
        """End it as a session manager does; returns its statistics. Raises RtsepError."""
        self.check()
        self._process.terminate()
        self._process.wait(END_S)
        if not self._stats.exists():
            self.check()
        stats: dict[str, Any] = json.loads(self._stats.read_text())
        return stats

    def kill(self) -> None:
        """End it at once if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(END_S)
