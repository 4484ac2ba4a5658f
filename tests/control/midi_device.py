"""midi_player.py, started beside a server."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


class Device:
    def __init__(self, process):
        self.process = process

    def send(self, *messages):
        """Messages as texts in hex."""
        self.process.stdin.write(" ".join(messages) + "\n")
        self.process.stdin.flush()


@contextlib.contextmanager
def device(name="Pedal 3", environ=None):
    """A device on the server of `environ`, this process's by default."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.control.midi_player", name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
        env=environ,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "ready\n"
        yield Device(process)
    finally:
        process.kill()
        process.communicate()
