"""`rtsep-monitor` as `rtsep-bench endtoend` starts it, and what it is told."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsep.cli.config_file import FILE_VARIABLE
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


class MonitorProcess:
    """`rtsep-monitor` as a person starts it.

    words: its options, but for --stats.  folder: for what it says and counts.  environ, stdin: as for
        Popen.  before: what to put in front of the command.
    """

    def __init__(
        self,
        words: Sequence[str],
        folder: Path,
        environ: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        before: Sequence[str] = (),
    ):
        # Measured without the settings of whoever measures.
        environ = {**(os.environ if environ is None else environ), FILE_VARIABLE: ""}
        self._stats, self._messages = folder / "stats.json", folder / "messages"
        with self._messages.open("wb") as messages:
            self.started_s = time.monotonic()
            self.process = subprocess.Popen(
                [*before, *child.command(MONITOR, "--stats", str(self._stats), *words)], env=environ,
                stdin=stdin, stdout=messages, stderr=messages, start_new_session=True,
            )  # fmt: skip

    def said(self) -> str:
        """All that it has said so far."""
        return self._messages.read_text(errors="replace")

    def check(self) -> None:
        """Raise RtsepError if it has ended."""
        if self.process.poll() is not None:
            last = child.last_line(self.said(), "it said nothing")
            raise RtsepError(
                f"rtsep-monitor ended with exit status {self.process.returncode}: {last}"
            )

    def end(self) -> dict[str, Any]:
        """End it as a session manager does; returns its statistics. Raises RtsepError."""
        self.check()
        self.process.terminate()
        self.process.wait(END_S)
        if not self._stats.exists():
            self.check()
        stats: dict[str, Any] = json.loads(self._stats.read_text())
        return stats

    def kill(self) -> None:
        """End it at once if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(END_S)


class Monitor(MonitorProcess):
    """`rtsep-monitor` through which impulses go as they are, for all that is heard of them."""

    def __init__(self, settings: RunSettings, route: Route, folder: Path):
        words = [
            "--quiet", "--model", settings.model, "--latency", settings.plan,
            *route.options(read_server(settings.server)),
            # Everything is heard, so that an impulse stays one.
            "--no-auto-level", "--mask-extension", "average",
        ]  # fmt: skip
        for stem in settings.stems:
            words += ["--stem", stem, "--gain", f"{stem}={GAIN_DB:g}"]
        super().__init__([*words, *settings.options], folder)
