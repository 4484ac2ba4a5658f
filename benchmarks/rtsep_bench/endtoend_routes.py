"""Where `rtsep-bench endtoend` measures: the servers that it starts, and the ways through them.

A server is spelt out like its graph: pipewire-RATE-QUANTUM, jack-RATE-PERIOD, or pulseaudio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rtsep.devices.pulse.buffers import PulseBuffers
from rtsep.errors import UsageError
from rtsep_bench.graph_probe import LISTENER, SENDER
from rtsep_bench.server_process import AudioServer
from rtsep_bench.servers import jack_server, pipewire_server, pulse_server

PIPEWIRE, JACK, PULSEAUDIO = "pipewire", "jack", "pulseaudio"
DEFAULT_SERVERS = (
    "pipewire-48000-256", "pipewire-48000-1024", "pipewire-44100-256", "jack-44100-256", PULSEAUDIO,
)  # fmt: skip
PULSEAUDIO_RATE = 44_100
# The sink of the person at the machine, which is listened to, and one beside it.
EARS, SONG = "stem", "song"
# How much more than the plan's latency is allowed, and how far the announced one may be off.
MOST_ADDED_MS = {PIPEWIRE: 6.0, JACK: 6.0, PULSEAUDIO: 45.0}
MOST_OFF_MS = {PIPEWIRE: 5.0, JACK: 5.0, PULSEAUDIO: 15.0}


@dataclass(frozen=True)
class Server:
    """A server to start.

    name: as spelt out.  family: PIPEWIRE, JACK or PULSEAUDIO.  rate: samples per second.
    quantum: samples per cycle; None where the server has no cycles.
    """

    name: str
    family: str
    rate: int
    quantum: int | None

    @contextmanager
    def start(self, log_folder: Path) -> Iterator[AudioServer]:
        """Start it without hardware, for the time of a `with` block; EARS is the default sink."""
        if self.quantum is None:
            # As PulseAudio comes: its sinks render as far ahead as their clients let them.
            with pulse_server(log_folder, norewinds=False) as server:
                server.command("pactl", "set-default-sink", EARS)
                yield server
        elif self.family == JACK:
            with jack_server(log_folder, self.quantum, rate=self.rate) as server:
                yield server
        else:
            with pipewire_server(log_folder, self.rate, self.quantum, default_sink=EARS) as server:
                yield server

    @property
    def stall_s(self) -> float:
        """From how long on the machine's standing still can cost a block: half of a cycle.

        On PulseAudio what the threads may be late by between the two ends.
        """
        if self.quantum is None:
            return PulseBuffers().late_s
        return self.quantum / self.rate / 2


def read_server(text: str) -> Server:
    """The server that `text` spells out; raises UsageError."""
    family, *numbers = text.split("-")
    if family == PULSEAUDIO and not numbers:
        return Server(text, family, PULSEAUDIO_RATE, None)
    if family in (PIPEWIRE, JACK) and len(numbers) == 2 and all(map(str.isdecimal, numbers)):
        rate, quantum = map(int, numbers)
        if 8_000 <= rate <= 192_000 and 16 <= quantum <= 8192:
            return Server(text, family, rate, quantum)
    raise UsageError(
        f"--servers: {text!r} is no server; spell one out like {', '.join(DEFAULT_SERVERS)}"
    )


@dataclass(frozen=True)
class Route:
    """How `rtsep-monitor` is told to take part in a server, and where its input is.

    options: its options, given the server.
    input_sink: the sink whose sound it filters; None where it has ports of its own in the graph.
    client: the client that has them, if the measurement is to connect them; otherwise they are connected
        to the measuring clients by the options.
    takes_over: streams that play to the default sink are moved to `input_sink`.
    """

    options: Callable[[Server], tuple[str, ...]]
    input_sink: str | None = SONG
    client: str = ""
    takes_over: bool = False


def _portaudio_jack(server: Server) -> tuple[str, ...]:
    return ("--hostapi", "JACK", "--blocksize", str(server.quantum))


# Between the measuring clients, which rtsep connects.
_GRAPH = Route(lambda server: ("--backend", "jack", "-i", SENDER, "-o", LISTENER), input_sink=None)
# By name, then by the family of the server. `portaudio` is the way of docs/devices.md.
ROUTES: dict[str, dict[str, Route]] = {
    "system": {
        PIPEWIRE: Route(lambda server: ("--system",), input_sink="rtsep", takes_over=True),
        PULSEAUDIO: Route(lambda server: ("--system",), input_sink="rtsep", takes_over=True),
        # JACK's programs have no sink: they are connected, as by any other name.
        JACK: _GRAPH,
    },
    "jack": {JACK: _GRAPH},
    "portaudio": {
        PIPEWIRE: Route(lambda server: ()),
        PULSEAUDIO: Route(lambda server: ()),
        JACK: Route(_portaudio_jack, input_sink=None, client="PortAudio"),
    },
}


def find_route(name: str, server: Server) -> Route:
    """The route called `name` on this server; raises UsageError where it has none there."""
    if server.family not in ROUTES[name]:
        fit = [other for other, routes in ROUTES.items() if server.family in routes]
        raise UsageError(f"--route {name}: not on {server.name}, where {', '.join(fit)} are")
    return ROUTES[name][server.family]
