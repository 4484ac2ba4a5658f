"""MIDI of JACK and, through its libjack, of PipeWire.

the graph's thread                 hand-over thread
  messages of a cycle -> ring        wait for the bell, read the ring -> on_message
  a byte to the bell's pipe ------->
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any

from rtsep.devices.graph.graph_client import GraphClient
from rtsep.devices.graph.libjack import LibJack, find_server, load
from rtsep.errors import RtsepError

_CLIENT, _PORT = "rtsep-midi", "in"
# Of each message: its length in bytes, and room for three.
_FRAME, _LONGEST = 4, 3
_RING_FRAMES = 1024


class JackMidi:
    """A client with one input, to which other ports can be connected by hand, too."""

    label = "jack"

    def __init__(self) -> None:
        self._input: _Input | None = None

    def names(self) -> dict[str, str]:
        """The ports that MIDI comes out of: by name, the words in which they are looked for.

        Raises RtsepError where there is no server.
        """
        return self._alive().names()

    def open(self, name: str, on_message: Callable[[bytes], None]) -> _Connection:
        """Hear a port; `on_message` is called by a thread. Raises RtsepError."""
        own = self._alive()
        own.on_message = on_message
        own.connect(name)
        return _Connection(own, name)

    def close(self) -> None:
        """Leave the server."""
        if self._input is not None:
            self._input.close()
            self._input = None

    def _alive(self) -> _Input:
        """The client, a new one if the server has gone meanwhile."""
        if self._input is not None and self._input.has_ended:
            self.close()
        if self._input is None:
            self._input = _Input()
        return self._input


def _find_server() -> str:
    try:
        return find_server()
    except RtsepError:
        raise RtsepError("neither JACK nor PipeWire answers") from None


class _Connection:
    """A port that is heard."""

    def __init__(self, own: _Input, name: str):
        self._own, self._name = own, name

    def is_there(self) -> bool:
        """Whether it is still connected."""
        return not self._own.has_ended and self._own.is_connected(self._name)

    def close(self) -> None:
        """Nothing that goes is left of it."""


class _Input:
    """The client. on_message: gets each message, from the hand-over thread."""

    def __init__(self) -> None:
        self.on_message: Callable[[bytes], None] = lambda message: None
        self.has_ended = False
        self._library: LibJack = load(_find_server())
        self._client = GraphClient(self._library, _CLIENT)
        # Writer: the graph's thread; reader: the hand-over thread.
        self._ring = self._library.module.RingBuffer(_FRAME * _RING_FRAMES)
        self._bell = os.pipe()
        os.set_blocking(self._bell[1], False)
        self._port: Any = self._client.jack.midi_inports.register(_PORT)
        self._client.set_process(self._cycle)
        self._client.jack.set_shutdown_callback(self._on_shutdown)
        self._handing = threading.Thread(target=self._hand_over, name="rtsep midi", daemon=True)
        self._handing.start()
        self._client.jack.activate()

    def names(self) -> dict[str, str]:
        """See JackMidi."""
        try:
            ports = self._client.jack.get_ports(is_midi=True, is_output=True)
            return {port.name: " ".join((port.name, *port.aliases)) for port in ports}
        except self._library.module.JackError as error:
            raise RtsepError(f"{self._library.server} does not list its MIDI ports") from error

    def connect(self, name: str) -> None:
        """Let messages of a port come in."""
        self._client.connect(name, self._port.name)

    def is_connected(self, name: str) -> bool:
        """Whether they still do."""
        try:
            return any(port.name == name for port in self._port.connections)
        except self._library.module.JackError:
            return False

    def close(self) -> None:
        """Leave the server, and end the thread."""
        self._client.close()
        os.close(self._bell[1])
        self._handing.join()
        os.close(self._bell[0])

    def _cycle(self, _samples: int) -> None:
        """On the graph's thread: pass on what has come in. What does not fit is lost."""
        has_come = False
        for _, message in self._port.incoming_midi_events():
            length = len(message)
            if length <= _LONGEST and self._ring.write_space >= _FRAME:
                self._ring.write(bytes((length,)) + bytes(message).ljust(_LONGEST, b"\0"))
                has_come = True
        if has_come:
            with contextlib.suppress(BlockingIOError):  # it has been rung often enough
                os.write(self._bell[1], b"\0")

    def _hand_over(self) -> None:
        while os.read(self._bell[0], 4096):
            while frame := bytes(self._ring.read(_FRAME)):
                self.on_message(frame[1 : 1 + frame[0]])

    def _on_shutdown(self, _status: object, _reason: str) -> None:
        self.has_ended = True
