"""A client that speaks OSC with a server on this machine."""

from __future__ import annotations

import socket
import time

from pythonosc.osc_message_builder import OscMessageBuilder

from rtsep.control.osc.packets import read_packet
from tests.control.desk import PATIENCE_S


class Client:
    """A socket that speaks OSC with a server on this machine."""

    def __init__(self, port):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect(("127.0.0.1", port))
        self._held = []

    def send(self, path, *values):
        self.send_bytes(packet_of(f"/rtsep/{path}", *values))

    def send_bytes(self, packet):
        self._socket.send(packet)

    def receive(self):
        """The next message, as a path and values."""
        while not self._held:
            self._held += read_packet(self._socket.recv(4096))
        return self._held.pop(0)

    def until(self, path, *values, ask=lambda: None):
        """Receive until this comes; values in float32. ask: called each second, as packets get lost."""
        ends_s = time.monotonic() + PATIENCE_S
        self._socket.settimeout(1.0)
        came = False
        while not came:
            assert time.monotonic() < ends_s, f"{path} {values} has not come"
            try:
                came = self.receive() == (path, [*values])
            except TimeoutError:
                ask()
        self._socket.settimeout(PATIENCE_S)


def packet_of(address, *values):
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    return builder.build().dgram
