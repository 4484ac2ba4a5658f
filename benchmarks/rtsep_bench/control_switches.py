"""The ways by which `rtsep-bench control` switches the bypass, but for the WebSocket: OSC and MIDI."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rtsep.control.protocol import LOOPBACK
from rtsep.devices.graph.graph_client import GraphClient
from rtsep.devices.graph.libjack import find_server, load
from rtsep.errors import RtsepError

WEBSOCKET, OSC, MIDI = WAYS = ("websocket", "osc", "midi")
_DEVICE = "rtsep-bench-pedal"
_PEDAL = 64
# Until rtsep-monitor has found the pedal.
_FOUND_S = 10.0

Switch = Callable[[bool], None]


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        return int(taken.getsockname()[1])


def monitor_options(way: str, port: int, folder: Path) -> list[str]:
    """What rtsep-monitor is given beside --control. folder: for files."""
    if way == OSC:
        return ["--osc", str(port)]
    if way == MIDI:
        midi_map = folder / "midi.toml"
        midi_map.write_text(
            f'[[control]]\ncontrol-change = {_PEDAL}\ndoes = "bypass"\nmode = "momentary"\n'
        )
        return ["--midi", _DEVICE, "--midi-map", str(midi_map)]
    return []


@contextmanager
def switching(way: str, port: int) -> Iterator[Switch]:
    """A function that switches the bypass, by OSC or MIDI. Raises RtsepError."""
    with _by_osc(port) if way == OSC else _by_midi() as switch:
        yield switch


@contextmanager
def _by_osc(port: int) -> Iterator[Switch]:
    from rtsep.control.osc.packets import write_message

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def switch(on: bool) -> None:
            sender.sendto(write_message("bypass", [on]), (LOOPBACK, port))

        yield switch


@contextmanager
def _by_midi() -> Iterator[Switch]:
    # Writer: the switch; reader: the graph's thread.
    waiting: deque[bytes] = deque()
    with GraphClient(load(find_server()), _DEVICE) as client:
        pedal = client.jack.midi_outports.register("out")

        def cycle(_samples: int) -> None:
            pedal.clear_buffer()
            if waiting:
                pedal.write_midi_event(0, waiting.popleft())

        client.set_process(cycle)
        client.jack.activate()
        ends_s = time.monotonic() + _FOUND_S
        while not pedal.connections:
            if time.monotonic() > ends_s:
                raise RtsepError(f"rtsep-monitor has not found the pedal within {_FOUND_S:g} s")
            time.sleep(0.05)
        yield lambda on: waiting.append(bytes((0xB0, _PEDAL, 127 * on)))
