"""Real audio servers without hardware: PulseAudio and PipeWire with null sinks, JACK's dummy driver.

Each runs privately (server_process.py), and as root too, as in most continuous integration.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rtsep.devices.graph.libjack import pipewire_libjack
from rtsep_bench.server_process import (
    AudioServer,
    Program,
    ServerError,
    listens,
    private_folder,
    running,
    without_servers,
)
from rtsep_bench.watchdog import allowed

RATE = 44_100
JACK_PERIOD = 1024
# The sink that is played into and the sink that is heard, of PulseAudio and PipeWire.
SINKS = ("song", "stem")
POSITIONS = ("FL", "FR")

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


# A bus for one folder, which starts no service of the machine's.
_BUS = """\
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""

# Sound cards, headsets and cameras are left alone, in the notations up to 0.4 and from 0.5 on.
_WIREPLUMBER_WITHOUT_HARDWARE = {
    "main.lua.d/51-rtsep.lua": "".join(
        f"{monitor}.enabled = false\n"
        for monitor in ("alsa_monitor", "v4l2_monitor", "libcamera_monitor")
    ),
    "bluetooth.lua.d/51-rtsep.lua": "bluez_monitor.enabled = false\n",
    "wireplumber.conf.d/rtsep.conf": (
        "wireplumber.profiles = { main = { hardware.audio = disabled"
        " hardware.bluetooth = disabled hardware.video-capture = disabled } }\n"
    ),
}


@contextlib.contextmanager
def pulse_server(
    log_folder: Path, alsa: str = ALSA_PULSE, *, norewinds: bool = True
) -> Iterator[AudioServer]:
    """PulseAudio with the null sinks `song` and `stem`, in float32 at 44.1 kHz.

    The clients' default ALSA device records from `song` and plays to `stem`; `alsa` configures it.

    As it comes, the threads of its sinks are real-time ones where that is allowed, and its main thread
    is not, whatever priority it is started with.

    norewinds: the sinks are rendered 50 ms ahead at most, in place of 2 s, and run at once and evenly.
    """
    with private_folder() as folder:
        socket = folder / "native"
        environ = {
            **without_servers(),
            **_pulse_client(folder, socket, alsa),
            "PULSE_STATE_PATH": str(folder),
        }
        sinks = [
            f"--load=module-null-sink sink_name={name} rate={RATE} channels=2 format=float32le "
            f"norewinds={int(norewinds)}"
            for name in SINKS
        ]
        command = [
            "pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1",
            "--disallow-exit=yes", "--disable-shm=yes", "--realtime=yes",
            "--log-target=stderr", "--log-level=notice",
            f"--load=module-native-protocol-unix socket={socket} auth-anonymous=1", *sinks,
        ]  # fmt: skip
        program = Program(command, log_folder / "pulseaudio.log")
        with running([program], environ, _lists_the_sinks) as server:
            yield server


@contextlib.contextmanager
def jack_server(
    log_folder: Path, period: int = JACK_PERIOD, *, rate: int = RATE, waiting: bool = False
) -> Iterator[AudioServer]:
    """JACK's dummy driver with two channels each way, in periods of `period` samples.

    waiting: the server waits for clients that are late, and no sample is lost: it reports an xrun, as
    without, where a period takes longer than it lasts.
    """
    with private_folder() as folder:
        name = f"rtsep-{uuid.uuid4().hex[:8]}"
        (folder / "asound.conf").write_text(ALSA_NOTHING)
        environ = {
            **without_servers(),
            "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
            "PULSE_SERVER": f"unix:{folder / 'nobody'}",
            "JACK_DEFAULT_SERVER": name,
            "JACK_NO_AUDIO_RESERVATION": "1",
        }
        command = [
            "jackd", "--no-mlock", f"--name={name}",
            *(("--realtime", f"-P{_JACK_PRIORITY}") if REALTIME else ("--no-realtime",)),
            *(("--sync",) if waiting else ()),
            "-d", "dummy", "-r", str(rate), "-p", str(period),
        ]  # fmt: skip

        def ready(server: AudioServer) -> bool:
            return "system:playback_2" in server.command("jack_lsp")

        server = None
        try:
            with running([Program(command, log_folder / "jackd.log")], environ, ready) as server:
                yield server
        finally:
            if server is not None and server.processes[0].returncode != 0:
                # A machine has room for eight servers, and JACK frees the place of one that was
                # killed, or did not end in time, only for the next one of the same name.
                again = Program(command, log_folder / "jackd-again.log")
                with running([again], environ, ready):
                    pass
            for left in Path("/dev/shm").glob(f"jack*{name}_*"):
                left.unlink(missing_ok=True)


@contextlib.contextmanager
def pipewire_server(
    log_folder: Path,
    rate: int = 48_000,
    quantum: int = 256,
    *,
    least_quantum: int | None = None,
    allowed_rates: Sequence[int] = (),
    default_sink: str = "song",
    alsa: str = ALSA_PULSE,
) -> Iterator[AudioServer]:
    """PipeWire with WirePlumber and pipewire-pulse, and the null sinks `song` and `stem` in stereo.

    The sinks come back with `restart`, `default_sink` as the default one; the bus that the programs
    share lives on. As on `pulse_server`, clients of PulseAudio and ALSA that name no device record
    from `song` and play to `stem`. Clients of JACK need PipeWire's libjack (`pipewire_jack`).

    Parameters
    ----------
    log_folder
        Where the programs' messages are kept.
    rate
        Samples per second of the graph and of its sinks.
    quantum
        Samples per cycle of the graph, at `rate`.
    least_quantum
        The shortest cycle that a client can ask for (PIPEWIRE_LATENCY); `quantum` by default.
    allowed_rates
        Further rates that a client can switch the graph to.
    default_sink
        The one of the sinks that streams play to which name none.
    alsa
        The clients' ALSA configuration.
    """
    with private_folder() as folder:
        runtime, settings = folder / "run", folder / "config"
        runtime.mkdir(mode=0o700)
        properties = {
            "default.clock.rate": rate,
            "default.clock.allowed-rates": list(dict.fromkeys((rate, *allowed_rates))),
            "default.clock.quantum": quantum,
            "default.clock.min-quantum": least_quantum or quantum,
            "default.clock.max-quantum": quantum,
        }
        # JSON is a form of PipeWire's own notation.
        sections = {"clock": f"context.properties = {json.dumps(properties)}\n"}
        for name in SINKS:
            # One object a file: PipeWire 0.3.65 reads no further than the first of a list.
            sink = _null_sink(name, rate, is_default=name == default_sink)
            sections[name] = f"context.objects = [ {json.dumps(sink)} ]\n"
        for name, text in sections.items():
            _write(settings / f"pipewire/pipewire.conf.d/{name}.conf", text)
        for path, text in _WIREPLUMBER_WITHOUT_HARDWARE.items():
            _write(settings / "wireplumber" / path, text)
        bus = folder / "bus"
        _write(folder / "bus.conf", _BUS.format(socket=bus))
        environ = {
            **without_servers(),
            **_pulse_client(folder, runtime / "pulse/native", alsa),
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_CONFIG_HOME": str(settings),
            "XDG_STATE_HOME": str(folder / "state"),
            "PIPEWIRE_RUNTIME_DIR": str(runtime),
            "PULSE_RUNTIME_PATH": str(runtime / "pulse"),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={bus}",
        }
        bus_command = ["dbus-daemon", f"--config-file={folder / 'bus.conf'}", "--nofork"]
        programs = [
            Program(
                ["pipewire"], log_folder / "pipewire.log", lambda: listens(runtime / "pipewire-0")
            ),
            Program(["wireplumber"], log_folder / "wireplumber.log"),
            Program(["pipewire-pulse"], log_folder / "pipewire-pulse.log"),
        ]

        def ready(server: AudioServer) -> bool:
            return _lists_the_sinks(server) and (
                server.command("pactl", "get-default-sink").strip() == default_sink
            )

        with (
            running(
                [Program(bus_command, log_folder / "dbus.log")], environ, lambda _: bus.exists()
            ),
            running(programs, environ, ready) as server,
        ):
            yield server


def pipewire_jack(server: AudioServer) -> AudioServer:
    """The same server of PipeWire for clients that load libjack: they find PipeWire's.

    As `pw-jack` does it.  Raises ServerError if it is not installed.
    """
    library = pipewire_libjack()
    if library is None:
        raise ServerError("PipeWire's libjack is not installed")
    return replace(server, environ={**server.environ, "LD_LIBRARY_PATH": str(library.parent)})


def _null_sink(name: str, rate: int, *, is_default: bool) -> dict[str, object]:
    """An object of PipeWire's configuration: a sink that runs as long as the server does."""
    return {
        "factory": "adapter",
        "args": {
            "factory.name": "support.null-audio-sink",
            "node.name": name,
            "node.description": name,
            "media.class": "Audio/Sink",
            "audio.rate": rate,
            "audio.position": list(POSITIONS),
            # WirePlumber chooses the sink of the highest priority as the default one.
            "priority.session": 2000 if is_default else 1000,
            "session.suspend-timeout-seconds": 0,
        },
    }


def _pulse_client(folder: Path, socket: Path, alsa: str) -> dict[str, str]:
    """How clients of PulseAudio, and of ALSA by its plugin, reach the server at `socket`."""
    (folder / "client.conf").write_text("autospawn = no\nenable-shm = no\n")
    (folder / "asound.conf").write_text(alsa)
    return {
        "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
        "PULSE_CLIENTCONFIG": str(folder / "client.conf"),
        "PULSE_COOKIE": str(folder / "cookie"),
        "PULSE_RUNTIME_PATH": str(folder),
        "PULSE_SERVER": f"unix:{socket}",
        "PULSE_SOURCE": "song.monitor",
        "PULSE_SINK": "stem",
    }


def _lists_the_sinks(server: AudioServer) -> bool:
    names = server.command("pactl", "list", "short", "sources")
    return all(f"{name}.monitor" in names for name in SINKS)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
