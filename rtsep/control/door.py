"""A way in as the main process sees it: the process that serves it, and the pipes to and from it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from typing import IO

from rtsep.control.ways import Way
from rtsep.errors import RtsepError
from rtsep.system.child_program import command
from rtsep.system.line_pipe import LineReader

# A busy machine needs a second or two to start Python.
_START_S, _CLOSE_S = 20.0, 2.0


class Door:
    """The process of one way in, which begins to start at once. For the program's main thread.

    Attributes
    ----------
    lines : LineReader
        What the process says.
    """

    def __init__(self, way: Way):
        self.way = way
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (until `close`)
        self.process = subprocess.Popen(
            command(way.module),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints,
            # Ctrl-C and the end of the terminal are for the main process.
            start_new_session=os.name == "posix",
        )  # fmt: skip
        assert self.process.stdout is not None
        self.lines = LineReader(self.process.stdout)

    def first_lines(self) -> tuple[list[str], list[str]]:
        """Lines for the person on where it listens, and those of the process that follow.

        Raises RtsepError where it does not listen.
        """
        ends_s = time.monotonic() + _START_S
        while (left_s := ends_s - time.monotonic()) > 0 and not self.lines.ended:
            lines = [line.decode() for line in self.lines.read(left_s)]
            if lines:
                word, _, text = lines[0].partition(" ")
                if word != "listening":
                    raise RtsepError(text)
                return json.loads(text), lines[1:]
        raise RtsepError(self.why_ended() if self.lines.ended else f"no answer in {_START_S:g} s")

    def write(self, line: str) -> None:
        """Tell the process; if it has ended, the end of its lines says so."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()

    def why_ended(self) -> str:
        """How the process has ended, and its last words."""
        status = self.process.wait()
        self._complaints.seek(0)
        said = self._complaints.read().decode(errors="replace").strip().splitlines()
        return f"the {self.way.name}'s process has ended (exit status {status}" + (
            f": {said[-1]})" if said else ")"
        )

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self._complaints.close()
