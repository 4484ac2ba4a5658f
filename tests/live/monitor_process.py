"""`rtsep-monitor` as a process of its own, beside a real audio server."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from rtsep.live.plans.notation import read_plan
from rtsep_bench.server_process import AudioServer

# Beyond what any of these programs needs to end, on an overloaded machine.
END_S = 120.0
STATS, RECORDINGS = "stats.json", "recordings"
# For tests that wait until a sound has come through: room for a busy machine, in a second of latency in
# place of the six of `classic`.
PROMPT_PLAN = "64/16/16/16/hann"
PROMPT = ("--latency", PROMPT_PLAN)
PROMPT_LATENCY_S = read_plan(PROMPT_PLAN).latency_ms / 1000


@dataclass
class Monitor:
    """A running `rtsep-monitor`, with its statistics, recordings and messages in `folder`."""

    process: subprocess.Popen
    folder: Path

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(END_S)

    def messages(self) -> str:
        return (self.folder / "messages").read_text(errors="replace")

    def stats(self) -> dict:
        return json.loads((self.folder / STATS).read_text())

    def recorded(self) -> dict[str, np.ndarray]:
        """The stems by name, (samples, 2) float32."""
        return {
            path.stem: soundfile.read(path, dtype="float32")[0]
            for path in sorted((self.folder / RECORDINGS).glob("*.wav"))
        }


def monitor_command(*arguments: str) -> list[str]:
    """The command line of `rtsep-monitor`; Ctrl-C ends it even where pytest runs in background."""
    program = [sys.executable, "-m", "rtsep.cli.monitor", *arguments]
    return ["env", "--default-signal=INT", *program]


@contextlib.contextmanager
def monitor_process(server: AudioServer, folder: Path, *arguments: str) -> Iterator[Monitor]:
    """Start the program, with the plan `classic`; it is killed at the end of the block if need be.

    What it writes is in a new folder in `folder`, since it replaces no recording.
    """
    folder = Path(tempfile.mkdtemp(prefix="monitor-", dir=folder))
    kept = ["--stats", str(folder / STATS), "--record", str(folder / RECORDINGS)]
    options = ["--latency", "classic", *kept]
    with (folder / "messages").open("wb") as messages:
        process = subprocess.Popen(
            monitor_command(*options, *arguments),
            env=server.environ, stdin=subprocess.DEVNULL, stdout=messages, stderr=messages,
            start_new_session=True,
        )  # fmt: skip
    monitor = Monitor(process, folder)
    try:
        yield monitor
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(END_S)
        # pytest shows this where the test has failed.
        print(f"--- rtsep-monitor\n{monitor.messages()}")


def run_monitor(server: AudioServer, *arguments: str) -> subprocess.CompletedProcess:
    """Run the program to its end; for what ends on its own."""
    return subprocess.run(
        monitor_command(*arguments),
        env=server.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=END_S,
    )  # fmt: skip
