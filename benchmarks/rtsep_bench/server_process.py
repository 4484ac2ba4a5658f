"""A sound server that was started privately: its processes, its environment, its end.

Each server has a folder of its own for its sockets, and the environment that its clients get leads
nowhere else. A server of the person at the machine is neither used nor disturbed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtsep.errors import RtsepError
from rtsep_bench.child import last_line
from rtsep_bench.watchdog import priority

# What an overloaded machine may need until a server answers, or until it has ended.
READY_S = 60.0
END_S = 5.0
POLL_S = 0.05


class ServerError(RtsepError):
    """A sound server does not start, does not answer, or ends before its time."""


class NotInstalledError(ServerError):
    """A program of a server's, or one of its tools, is not there; waiting does not help."""


@dataclass(frozen=True)
class Program:
    """One program of a server.

    log: its messages are appended to this file.
    ready: whether the program that comes after it can be started, asked again and again.
    """

    command: Sequence[str]
    log: Path
    ready: Callable[[], bool] = lambda: True


@dataclass
class AudioServer:
    """A running server.

    processes: those of its programs, in the order in which they were started.
    environ: environment for programs that are to reach this server and no other.
    """

    processes: list[subprocess.Popen[bytes]]
    environ: dict[str, str]
    start_again: Callable[[], list[subprocess.Popen[bytes]]]

    @property
    def players_environ(self) -> dict[str, str]:
        """For programs of PulseAudio's that name no device: they get the server's default ones."""
        named = ("PULSE_SINK", "PULSE_SOURCE")
        return {name: value for name, value in self.environ.items() if name not in named}

    def command(self, *arguments: str) -> str:
        """Run one of the server's own tools; returns what it prints. Raises ServerError."""
        try:
            done = subprocess.run(
                arguments, env=self.environ, capture_output=True, text=True, timeout=READY_S
            )
        except subprocess.TimeoutExpired:
            raise ServerError(f"{' '.join(arguments)}: no answer in {READY_S:g} s") from None
        except FileNotFoundError:
            raise NotInstalledError(f"{arguments[0]} is not installed") from None
        if done.returncode:
            raise ServerError(f"{' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def kill(self) -> None:
        """End it without warning, as when a cable is pulled."""
        for process in reversed(self.processes):
            process.kill()
        for process in self.processes:
            process.wait(END_S)

    def restart(self) -> None:
        """Start it again after `kill`, as when the cable is back; clients have to wait for it."""
        self.processes = self.start_again()


def wait_until(
    condition: Callable[[], bool], what: str, timeout_s: float = READY_S, poll_s: float = POLL_S
) -> None:
    """Poll `condition`; raises ServerError naming `what` if it does not come true in time."""
    ends = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > ends:
            raise ServerError(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(poll_s)


@contextlib.contextmanager
def running(
    programs: Sequence[Program], environ: dict[str, str], ready: Callable[[AudioServer], bool]
) -> Iterator[AudioServer]:
    """Run a server from its first answer to the end of the block.

    ready: whether the server, all of whose programs have been started, answers.
    Raises ServerError if it does not start or does not answer in time.
    """

    def start() -> list[subprocess.Popen[bytes]]:
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for program in programs:
                processes.append(_start(program, environ))
                wait_until(
                    lambda: _all_run(programs, processes) and program.ready(),  # noqa: B023
                    f"{program.command[0]} to start",
                )
        except BaseException:
            _end(processes)
            raise
        return processes

    server = AudioServer(start(), environ, start)

    def answers() -> bool:
        _all_run(programs, server.processes)
        try:
            return ready(server)
        except NotInstalledError:
            raise
        except ServerError:
            return False

    try:
        wait_until(answers, f"an answer of {programs[-1].command[0]}")
        yield server
    finally:
        _end(server.processes)


def _start(program: Program, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    if shutil.which(program.command[0], path=environ.get("PATH")) is None:
        raise NotInstalledError(f"{program.command[0]} is not installed")
    with program.log.open("ab") as output:
        return subprocess.Popen(
            [*priority(), *program.command], env=environ, stdin=subprocess.DEVNULL,
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip


def _all_run(programs: Sequence[Program], processes: list[subprocess.Popen[bytes]]) -> bool:
    """True; raises ServerError with the last words of a program that has ended."""
    for program, process in zip(programs, processes):
        if process.poll() is not None:
            said = last_line(program.log.read_text(errors="replace"), "it said nothing")
            raise ServerError(
                f"{program.command[0]} ended with exit status {process.returncode}: {said}"
            )
    return True


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End what still runs, the last started first."""
    for process in reversed(processes):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(END_S)


def listens(path: Path) -> bool:
    """Whether a program takes connections at a socket; one that was killed leaves its file behind."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for this user alone, with a path short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="rtsep-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def without_servers() -> dict[str, str]:
    """This process's environment without the way to any sound server."""
    ways = ("PULSE_", "JACK_", "ALSA_", "PIPEWIRE_", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ways)}
    return {
        **kept,
        "JACK_NO_START_SERVER": "1",
        "JACK_DEFAULT_SERVER": f"rtsep-none-{os.getpid()}",
        # No bus is asked for either; libdbus would start one of its own.
        "DBUS_SESSION_BUS_ADDRESS": "disabled:",
    }
