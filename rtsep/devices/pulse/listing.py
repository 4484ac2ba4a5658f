"""What the server has at one moment: its sources, its sinks, and which of them it takes by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtsep.devices.pulse.connection import Connection
from rtsep.devices.pulse.libpulse import SINK_HARDWARE

# Far less than what null sinks do, and more than anybody asks for who listens.
FAR_AHEAD_USEC = 100_000


@dataclass(frozen=True)
class ServerDevice:
    """A source or a sink.

    name, description: for programs and for people. rate, channels: its own. monitored: the name of the
    sink whose sound a source gives; empty for others. ahead: see `ServerDevices.far_ahead`.
    """

    name: str
    description: str
    rate: int
    channels: int
    monitored: str = ""
    ahead: bool = False


@dataclass(frozen=True)
class ServerDevices:
    """All of them; the defaults are names."""

    sources: tuple[ServerDevice, ...]
    sinks: tuple[ServerDevice, ...]
    default_source: str
    default_sink: str

    @property
    def far_ahead(self) -> frozenset[str]:
        """Names of the sinks that render long before they play.

        A null sink does so by two seconds until it is asked for less. Who comes then is not heard, and
        hears nothing, before they are over. Sound cards take back by themselves what is not played.
        """
        return frozenset(sink.name for sink in self.sinks if sink.ahead)

    @property
    def listing(self) -> str:
        """All of them for the person, a line each; the defaults have a star."""
        lines = []
        for kind, devices, default in (
            ("in ", self.sources, self.default_source),
            ("out", self.sinks, self.default_sink),
        ):
            lines += [
                f"{'*' if device.name == default else ' '} {kind}  {device.name}  "
                f"({device.description}, {device.channels} channels, {device.rate} Hz)"
                for device in devices
            ]
        return "\n".join(lines)


def server_devices() -> ServerDevices:
    """Ask the server. Raises RtsepError where there is none, MissingLibraryError without libpulse."""
    connection = Connection()
    try:
        return _Questions(connection).answers()
    finally:
        connection.close()


class _Questions:
    """Three questions, whose answers come on the connection's thread."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._sources: list[ServerDevice] = []
        self._sinks: list[ServerDevice] = []
        self._defaults = ("", "")
        self._unanswered = 3

    def answers(self) -> ServerDevices:
        self._connection.call(self._ask)
        self._connection.wait(lambda: not self._unanswered, "the list of devices")
        return ServerDevices(tuple(self._sources), tuple(self._sinks), *self._defaults)

    def _ask(self) -> None:
        ffi, lib = self._connection.pulse
        for kind, function in (
            ("server_info", self._on_server),
            ("source_info", self._on_source),
            ("sink_info", self._on_sink),
        ):
            ask = f"pa_context_get_{kind}" + ("_list" if kind != "server_info" else "")
            callback = self._connection.callback(f"pa_{kind}_cb_t", function)
            operation = getattr(lib, ask)(self._connection.context, callback, ffi.NULL)
            if operation != ffi.NULL:
                lib.pa_operation_unref(operation)

    def _on_server(self, _context: Any, info: Any, _user: Any) -> None:
        text = self._connection.pulse.text
        self._defaults = text(info.default_source_name), text(info.default_sink_name)
        self._unanswered -= 1

    def _on_source(self, _context: Any, info: Any, end: int, _user: Any) -> None:
        if end:
            self._unanswered -= 1
        else:
            text = self._connection.pulse.text
            self._sources.append(self._device(info, monitored=text(info.monitor_of_sink_name)))

    def _on_sink(self, _context: Any, info: Any, end: int, _user: Any) -> None:
        if end:
            self._unanswered -= 1
        else:
            far = info.configured_latency > FAR_AHEAD_USEC and not info.flags & SINK_HARDWARE
            self._sinks.append(self._device(info, ahead=far))

    def _device(self, info: Any, **more: Any) -> ServerDevice:
        text, spec = self._connection.pulse.text, info.sample_spec
        return ServerDevice(
            text(info.name), text(info.description), spec.rate, spec.channels, **more
        )
