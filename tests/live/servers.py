"""Real audio servers without hardware: PulseAudio with null sinks, JACK with its dummy driver.

Each runs privately: its sockets stand in a folder of its own, its name is made up, and the
environment that its clients get leads nowhere else. A server of the person at the machine is neither
used nor disturbed. Both run as root too, as in most continuous integration.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rtsep_bench.watchdog import allowed, priority

RATE = 44_100
JACK_PERIOD = 1024
# What an overloaded machine may need until a server answers, or until it has ended.
READY_S = 20.0
END_S = 5.0
POLL_S = 0.05

# No sound card of this machine and no file of this user. Where ALSA is not the way to the server, it
# has one device that leads nowhere: PortAudio 19.6 aborts where there is none at all.
ALSA_PULSE = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"
ALSA_NOTHING = "pcm.!default { type null }\n"
# Each end of the server as a device of its own, which PortAudio lists by its hint.
ALSA_PULSE_ENDS = ALSA_PULSE + "".join(
    f'pcm.{name} {{ type pulse device "{end}" hint {{ show on description "{end}" }} }}\n'
    for name, end in (("song_in", "song.monitor"), ("stem_out", "stem"))
)


_JACK_PRIORITY = 10
REALTIME = allowed("chrt", "--fifo", str(_JACK_PRIORITY), "true")


@dataclass
class AudioServer:
    """A running server.

    environ: environment for programs that are to reach this server and no other.
    """

    process: subprocess.Popen
    environ: dict[str, str]
    log: Path
    start_again: Callable[[], subprocess.Popen] | None = None

    def command(self, *arguments: str) -> str:
        """Run one of the server's own tools; returns what it prints."""
        done = subprocess.run(
            arguments, env=self.environ, capture_output=True, text=True, timeout=READY_S
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def kill(self) -> None:
        """End it without warning, as when a cable is pulled."""
        self.process.kill()
        self.process.wait(END_S)

    def restart(self) -> None:
        """Start it again after `kill`, as when the cable is back; clients have to wait for it."""
        assert self.start_again is not None
        self.process = self.start_again()


@contextlib.contextmanager
def pulse_server(log_folder: Path, alsa: str = ALSA_PULSE) -> Iterator[AudioServer]:
    """PulseAudio with the null sinks `song` and `stem`, in float32 at 44.1 kHz.

    The clients' default ALSA device records from `song` and plays to `stem`; `alsa` configures it.
    """
    with _private_folder() as folder:
        socket = folder / "native"
        (folder / "client.conf").write_text("autospawn = no\nenable-shm = no\n")
        (folder / "asound.conf").write_text(alsa)
        environ = {
            **_without_servers(),
            "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
            "PULSE_CLIENTCONFIG": str(folder / "client.conf"),
            "PULSE_COOKIE": str(folder / "cookie"),
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_STATE_PATH": str(folder),
            "PULSE_SERVER": f"unix:{socket}",
            "PULSE_SOURCE": "song.monitor",
            "PULSE_SINK": "stem",
        }
        # norewinds: rendered 50 ms ahead at most, in place of 2 s; the sinks run at once and evenly.
        sinks = [
            f"--load=module-null-sink sink_name={name} rate={RATE} channels=2 format=float32le "
            "norewinds=1"
            for name in ("song", "stem")
        ]
        command = [
            "pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1",
            "--disallow-exit=yes", "--disable-shm=yes", "--realtime=no",
            "--log-target=stderr", "--log-level=notice",
            f"--load=module-native-protocol-unix socket={socket} auth-anonymous=1", *sinks,
        ]  # fmt: skip

        def ready(server: AudioServer) -> bool:
            names = server.command("pactl", "list", "short", "sources")
            return "song.monitor" in names and "stem.monitor" in names

        with _running(command, environ, log_folder / "pulseaudio.log", ready) as server:
            yield server


@contextlib.contextmanager
def jack_server(
    log_folder: Path, period: int = JACK_PERIOD, *, waiting: bool = False
) -> Iterator[AudioServer]:
    """JACK's dummy driver with two channels each way, 44.1 kHz, periods of `period` samples.

    waiting: the server waits for clients that are late, and no sample is lost: it reports an xrun, as
    without, where a period takes longer than it lasts.
    """
    with _private_folder() as folder:
        name = f"rtsep-{uuid.uuid4().hex[:8]}"
        (folder / "asound.conf").write_text(ALSA_NOTHING)
        environ = {
            **_without_servers(),
            "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
            "PULSE_SERVER": f"unix:{folder / 'nobody'}",
            "JACK_DEFAULT_SERVER": name,
            "JACK_NO_AUDIO_RESERVATION": "1",
        }
        command = [
            "jackd", "--no-mlock", f"--name={name}",
            *(("--realtime", f"-P{_JACK_PRIORITY}") if REALTIME else ("--no-realtime",)),
            *(("--sync",) if waiting else ()),
            "-d", "dummy", "-r", str(RATE), "-p", str(period),
        ]  # fmt: skip

        def ready(server: AudioServer) -> bool:
            return "system:playback_2" in server.command("jack_lsp")

        with _running(command, environ, log_folder / "jackd.log", ready) as server:
            try:
                yield server
            finally:
                if server.process.poll() is not None:
                    # A machine has room for eight servers, and JACK frees the place of one that
                    # was killed only for the next one of the same name.
                    with _running(command, environ, log_folder / "jackd-again.log", ready):
                        pass
                for left in Path("/dev/shm").glob(f"jack*{name}_*"):
                    left.unlink(missing_ok=True)


def wait_until(
    condition: Callable[[], bool], what: str, timeout_s: float = READY_S, poll_s: float = POLL_S
) -> None:
    """Poll `condition`; fails the test naming `what` if it does not come true in time."""
    ends = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > ends:
            pytest.fail(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(poll_s)


@contextlib.contextmanager
def _running(
    command: list[str],
    environ: dict[str, str],
    log: Path,
    ready: Callable[[AudioServer], bool],
) -> Iterator[AudioServer]:
    """Run a server from its first answer to the end of the block; its log goes to the report."""

    def start() -> subprocess.Popen:
        with log.open("ab") as output:
            return subprocess.Popen(
                [*priority(), *command], env=environ, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True,
            )  # fmt: skip

    server = AudioServer(start(), environ, log, start)

    def answers() -> bool:
        if server.process.poll() is not None:
            pytest.fail(f"{command[0]} ended with status {server.process.returncode}")
        with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
            return ready(server)
        return False

    try:
        wait_until(answers, f"an answer of {command[0]}")
        yield server
    finally:
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
            try:
                server.process.wait(END_S)
            except subprocess.TimeoutExpired:
                server.kill()
        # pytest shows this where the test has failed.
        print(f"--- {command[0]}\n{log.read_text(errors='replace')}")


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder for this user alone, with a path short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="rtsep-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _without_servers() -> dict[str, str]:
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
