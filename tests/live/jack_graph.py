"""What connects to what in a test's graph, on JACK and on PipeWire.

Ports go by their names on JACK, by their numbers on PipeWire, where clients share names.
"""

from __future__ import annotations

import contextlib
import time

from rtsep_bench.server_process import AudioServer, ServerError, wait_until
from rtsep_bench.servers import SINKS

# What a program takes to start on an overloaded machine.
START_S = 60.0
# How often, and how long after one another, a tool is tried that reaches no server.
MOST_QUESTIONS = 5
PAUSE_S = 0.5
_OF_SERVERS = ("system:", *(f"{sink}:" for sink in SINKS))


def ports(server: AudioServer) -> tuple[set[str], set[str]]:
    """The ports of clients, those that sound comes out of and those that it goes into."""
    if _is_pipewire(server):
        lines = server.command("pw-link", "--id", "--output", "--input").splitlines()
        names = dict(line.split(maxsplit=1) for line in lines if line)
    else:
        names = {name: name for name in _answer(server, "jack_lsp").split()}
    clients = {port: name for port, name in names.items() if not name.startswith(_OF_SERVERS)}
    outputs, inputs = (
        {port for port, name in clients.items() if f":{end}_" in name} for end in ("out", "in")
    )
    return outputs, inputs


def new_ports(server, before):
    """The ports that have appeared since `before`, in their order, once there are some."""
    wait_until(
        lambda: all(now - old for now, old in zip(ports(server), before)), "new ports", START_S
    )
    outputs, inputs = (
        sorted(now - old, key=lambda port: (len(port), port))
        for now, old in zip(ports(server), before)
    )
    return outputs, inputs


def connect(server, outputs, inputs):
    """Each output with the input of its place."""
    for output, into in zip(outputs, inputs, strict=True):
        _answer(server, "pw-link" if _is_pipewire(server) else "jack_connect", output, into)


def disconnect(server, connected):
    """Undo what clients of PipeWire connect on their own, once all these ports of theirs are."""

    def links():
        """Of each line that stands for a link: its number, its direction, the port's number."""
        lines = server.command("pw-link", "--id", "--links").splitlines()
        return [words for line in lines if len(words := line.split()) == 4]

    wait_until(
        lambda: set(connected) <= {port for _, _, port, _ in links()}, "ports that are linked"
    )
    for number in {number for number, *_ in links()}:
        server.command("pw-link", "--disconnect", number)


def sink_ports(sink):
    """The ports of a null sink of PipeWire, left and right: what it plays, and what goes into it."""
    return [[f"{sink}:{end}_{side}" for side in ("FL", "FR")] for end in ("monitor", "playback")]


def _answer(server, *command):
    """As `server.command`, asked again where the server does not answer.

    Each tool of JACK's becomes a client. On a machine that stands still, the server has no place for
    one in time, and says so at once. What fails every time fails here, too.
    """
    for _ in range(MOST_QUESTIONS - 1):
        with contextlib.suppress(ServerError):
            return server.command(*command)
        time.sleep(PAUSE_S)
    return server.command(*command)


def _is_pipewire(server):
    return "PIPEWIRE_RUNTIME_DIR" in server.environ
