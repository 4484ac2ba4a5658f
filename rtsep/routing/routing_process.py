"""The program of the routing process: it routes until its pipe to the main process closes.

    python -m rtsep.routing.routing_process

It reads its request and commands from standard input and writes events to standard output, as lines
of JSON. Standard input closes when the main process ends, even by `kill -9`; then the program puts
everything back. A process of its own, because pulsectl's callbacks would take Python's lock from the
threads that compute audio.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from rtsep.errors import RtsepError, UsageError
from rtsep.routing.events import (
    Event,
    Ready,
    Refused,
    ServerBack,
    ServerGone,
    to_line,
)
from rtsep.routing.owner import Owner
from rtsep.routing.put_back import clean_up
from rtsep.routing.request import RoutingRequest
from rtsep.routing.routing import Routing
from rtsep.routing.server import ServerLost, SoundServer

# How often commands are looked for, should a wake-up be missed.
POLL_S = 0.1
# How long a server that has ended is waited for, and how often it is looked for.
PATIENCE_S, RETRY_S = 60.0, 0.5
CAPTURE, CLOSE = "capture", "close"


def tell(event: Event) -> None:
    """Write an event; the main process may be gone, which standard input tells as well."""
    try:
        sys.stdout.write(to_line(event) + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        pass


class Commands:
    """Commands of the main process, read by a thread; the end of the pipe is CLOSE."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.server: SoundServer | None = None
        self.closed = False
        threading.Thread(target=self._read, daemon=True).start()

    def take(self) -> str | None:
        """The next command, if there is one."""
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            return None

    def _read(self) -> None:
        for line in sys.stdin:
            self._put(line.strip())
        self._put(CLOSE)

    def _put(self, command: str) -> None:
        self.closed = self.closed or command == CLOSE
        self._queue.put(command)
        server = self.server
        if server is not None:
            server.wake()


def serve(request: RoutingRequest, owner: Owner, commands: Commands) -> None:
    """Route until the main process says CLOSE or ends; then put everything back."""
    with SoundServer() as server:
        clean_up(server)
        routing = Routing(server, request, owner, tell)
        tell(Ready(routing.route))
        if _follow(routing, server, commands):
            return
    while True:
        tell(ServerGone())
        server, routing = _begin_again(request, owner, commands)
        with server:
            tell(ServerBack(routing.route))
            if _follow(routing, server, commands):
                return


def _follow(routing: Routing, server: SoundServer, commands: Commands) -> bool:
    """Route until the end and put back (True), or until the server is gone (False)."""
    commands.server = server
    try:
        try:
            while True:
                command = commands.take()
                if command == CLOSE:
                    return True
                if command == CAPTURE:
                    routing.capture()
                elif server.wait(POLL_S):
                    routing.update()
        finally:
            commands.server = None
            routing.put_back()
    except ServerLost:
        return False


def _begin_again(
    request: RoutingRequest, owner: Owner, commands: Commands
) -> tuple[SoundServer, Routing]:
    """Wait for the server, and for the devices that the request names, and make everything anew."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        server = None
        try:
            server = SoundServer()
            clean_up(server)
            return server, Routing(server, request, owner, tell)
        except RtsepError as error:
            if server is not None:
                server.close()
            if time.monotonic() > ends:
                raise RtsepError(
                    f"the sound server has ended and was not back in {PATIENCE_S:g} s: {error}"
                ) from None
        if commands.closed:
            raise SystemExit(0)
        time.sleep(RETRY_S)


def main() -> None:
    """Run in the child process."""

    def end(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    first: dict[str, Any] = json.loads(sys.stdin.readline())
    owner = Owner.here(first.pop("main"))
    lists = {name: tuple(first[name]) for name in ("apps", "stems")}
    request = RoutingRequest(**{**first, **lists})
    status = 0
    try:
        serve(request, owner, Commands())
    except SystemExit:
        pass  # SIGTERM, or the main process ended while the server was away
    except RtsepError as error:
        tell(Refused(str(error), isinstance(error, UsageError)))
        status = 1
    # At once: Python's own end would wait for the thread that reads standard input.
    os._exit(status)


if __name__ == "__main__":
    main()
