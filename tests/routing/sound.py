"""Players on a server of sound, and what the server says of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pulsectl

from rtsep.routing.owner import Process
from rtsep_bench.server_process import AudioServer, wait_until

# A main process: it routes, captures and reports events until it is ended.
_MAIN = """
import sys, time
from rtsep.routing.request import RoutingRequest
from rtsep.routing.router import Router
with Router.start(RoutingRequest(stems=("vocals",))) as router:
    router.capture()
    print("begun", router._process.pid, flush=True)
    while True:
        for event in router.poll():
            print(event, flush=True)
        time.sleep(0.05)
"""


@dataclass
class Desktop:
    """A server with its players. kind: "pulse" or "pipewire"."""

    kind: str
    server: AudioServer
    players: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def play(self, name: str, *options: str) -> str:
        """Begin to play silence as the application `name`; returns the name when it is heard."""
        silence = Path("/dev/zero").open("rb")  # noqa: SIM115 (the child's from here on)
        with silence:
            command = [
                "pacat",
                "--playback",
                f"--client-name={name}",
                "--latency-msec=50",
                *options,
            ]
            self.players.append(subprocess.Popen(command, stdin=silence))
        wait_until(lambda: name in self.heard(), f"{name} to play")
        return name

    def end(self, player: int = -1) -> None:
        """End a player."""
        self.players[player].terminate()
        self.players.pop(player).wait()

    def heard(self) -> dict[str, str]:
        """The sink that each application plays to; streams without one are left out."""
        with pulsectl.Pulse("test") as pulse:
            sinks = {sink.index: sink.name for sink in pulse.sink_list()}
            return {
                stream.proplist.get("application.name", ""): sinks[stream.sink]
                for stream in pulse.sink_input_list()
                if stream.sink in sinks
            }

    def devices(self) -> set[str]:
        """Names of all sinks and sources."""
        with pulsectl.Pulse("test") as pulse:
            return {device.name for device in [*pulse.sink_list(), *pulse.source_list()]}

    def move(self, name: str, sink: str) -> None:
        """Move an application's stream as its user does."""
        with pulsectl.Pulse("test") as pulse:
            for stream in pulse.sink_input_list():
                if stream.proplist.get("application.name") == name:
                    pulse.sink_input_move(stream.index, pulse.get_sink_by_name(sink).index)

    def choose(self, name: str, sink: str) -> None:
        """Move an application's stream until the server remembers it.

        WirePlumber overlooks moves of a stream that it does not know yet.
        """

        def is_remembered() -> bool:
            if sink in self.remembered().values():
                return True
            self.move(name, "stem")
            self.move(name, sink)
            return False

        wait_until(is_remembered, "a choice that is remembered", poll_s=1.5)

    def default(self, sink: str) -> None:
        """Make a sink the default one."""
        self.server.command("pactl", "set-default-sink", sink)

    def remembered(self) -> dict[str, str]:
        """The sink that the server remembers for each application, of those that have one."""
        if self.kind == "pulse":
            with pulsectl.Pulse("test") as pulse:
                return {e.name: e.device for e in pulse.stream_restore_list() if e.device}
        state = Path(self.server.environ["XDG_STATE_HOME"], "wireplumber", "restore-stream")
        if not state.exists():
            return {}
        pairs = (line.split(":target=") for line in state.read_text().splitlines())
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}

    def pinned(self) -> dict[str, str]:
        """What is remembered, and where the streams that play now are tied to."""
        if self.kind == "pulse":
            return self.remembered()
        lines = self.server.command("pw-metadata").splitlines()
        tied = {line: "" for line in lines if "target." in line and "'-1'" not in line}
        return {**tied, **self.remembered()}

    def wait_for(self, name: str, sink: str) -> None:
        """Wait until an application plays to a sink."""
        wait_until(lambda: self.heard().get(name) == sink, f"{name} on {sink}: {self.heard()}")

    def wait_until_clean(self) -> None:
        """Wait until no device of rtsep is left."""
        wait_until(
            lambda: not any(name.startswith("rtsep") for name in self.devices()),
            "the devices' end",
        )


def children(parent: int, program: str = "") -> list[Process]:
    """The living processes that a process has started, of one program or of all."""
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    found = []
    for number in map(int, listed):
        with contextlib.suppress(OSError):
            if program in Path(f"/proc/{number}/comm").read_text():
                found.append(Process.of(number))
    return [process for process in found if process.is_alive()]


@contextlib.contextmanager
def main_process() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that filters everything, and the number of its routing process."""
    process = subprocess.Popen(
        [sys.executable, "-c", _MAIN], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    routing = 0
    try:
        assert process.stdout is not None
        begun, number = process.stdout.readline().split()
        assert begun == "begun"
        routing = int(number)
        yield process, routing
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        for _ in range(60):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                if routing and "routing_process" in Path(f"/proc/{routing}/cmdline").read_text():
                    time.sleep(0.05)
                    continue
            break
        else:
            os.kill(routing, signal.SIGKILL)
