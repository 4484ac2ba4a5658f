"""The routing as the main process sees it: a process beside it that is asked and tells.

router = Router.start(RoutingRequest())
# open the audio streams of router.route, then
router.capture()
for event in router.poll(): ...      # every 50 ms or so
router.close()
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from typing import IO

from rtsep.devices.route import Route
from rtsep.errors import RtsepError, UsageError
from rtsep.routing import routing_process
from rtsep.routing.events import Event, OutputChanged, Ready, Refused, ServerBack, from_line
from rtsep.routing.owner import Owner, Process
from rtsep.routing.put_back import put_back
from rtsep.routing.request import RoutingRequest
from rtsep.routing.server import ServerLost, SoundServer
from rtsep.system.child_program import command

# A busy machine needs a second or two to start Python; PulseAudio needs time to make devices.
_START_S = 20.0
CLOSE_S = 2.0


class Router:
    """A routing process that runs.

    Attributes
    ----------
    route
        The Route that the audio must take now; it changes with OutputChanged and ServerBack.
    """

    def __init__(self, request: RoutingRequest) -> None:
        """Start the routing process; `Router.start` says what it raises."""
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (until `close`)
        self._unread = b""
        self._ended = False
        self._process = subprocess.Popen(
            command("rtsep.routing.routing_process"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints,
            # Ctrl-C and the end of the terminal are for the main process, which then says CLOSE.
            start_new_session=True,
        )  # fmt: skip
        self._owner = Owner(Process.of(os.getpid()), Process.of(self._process.pid))
        try:
            os.set_blocking(self._stdout, False)
            self._write(json.dumps({"main": os.getpid(), **asdict(request)}))
            self.route = self._first_route()
        except BaseException:
            self.close()
            raise

    @classmethod
    def start(cls, request: RoutingRequest) -> Router:
        """Make the devices of a request; no stream is moved yet.

        Raises
        ------
        UsageError
            A device that the request names is not there, or a name is taken.
        RtsepError
            There is no sound server, it refuses modules, another rtsep runs, or pulsectl is missing.
        """
        if sys.platform != "linux":
            raise UsageError(
                "routing sound between programs needs Linux, with PipeWire or PulseAudio"
            )
        return cls(request)

    def capture(self) -> None:
        """Move the streams now: sound flows. To be said again after ServerBack."""
        self._write(routing_process.CAPTURE)

    def poll(self) -> list[Event]:
        """The events since the last call; does not wait.

        Raises RtsepError if the routing process has failed or was killed. Everything is put back
        then, and nothing is left to close.
        """
        events: list[Event] = []
        while not self._ended:
            event = self._read()
            if event is None:
                break
            if isinstance(event, Refused):
                self._process.wait()
                self._release()
                raise RtsepError(event.line)
            if isinstance(event, (OutputChanged, ServerBack)):
                self.route = event.route
            events.append(event)
        return events

    def close(self) -> bool:
        """Put everything back, and wait for it for CLOSE_S at most; a second call does nothing.

        Returns whether all is back. If not, the server is slow or hangs: the routing process goes on
        by itself, until the server has answered or ended.
        """
        if self._ended:
            return True
        self._ended = True
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            status = self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            return False
        finally:
            self._release()
        if status != 0:
            self._clean()
        return True

    def __enter__(self) -> Router:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def _stdout(self) -> int:
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def _first_route(self) -> Route:
        ends = time.monotonic() + _START_S
        while time.monotonic() < ends:
            select.select([self._stdout], [], [], ends - time.monotonic())
            event = self._read()
            if isinstance(event, Refused):
                raise (UsageError if event.is_usage else RtsepError)(event.line)
            if isinstance(event, Ready):
                return event.route
        raise RtsepError(f"the sound server did not answer in {_START_S:g} s")

    def _read(self) -> Event | None:
        """The next event, if it is there. Raises RtsepError at the process's end."""
        while b"\n" not in self._unread:
            try:
                read = os.read(self._stdout, 65_536)
            except BlockingIOError:
                return None
            if not read:
                self._end_early()
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        return from_line(line)

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        # If the process has ended, `poll` says why.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def _end_early(self) -> None:
        """Put back what a process has left that ended before its time; raises RtsepError."""
        self._ended = True
        status = self._process.wait()
        self._complaints.seek(0)
        said = self._complaints.read().decode(errors="replace").strip().splitlines()
        self._release()
        self._clean()
        why = f"exit status {status}" + (f": {said[-1]}" if said else "")
        raise RtsepError(f"the process that routes sound has ended ({why}); streams are put back")

    def _clean(self) -> None:
        with contextlib.suppress(ServerLost), SoundServer() as server:
            put_back(server, self._owner)

    def _release(self) -> None:
        self._ended = True
        for pipe in (self._process.stdin, self._process.stdout, self._complaints):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
