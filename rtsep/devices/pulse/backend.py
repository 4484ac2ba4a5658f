"""PulseAudio as a backend: a route, or ends by their names, and a stream on them."""

from __future__ import annotations

from collections.abc import Callable

from rtsep.devices.audio_stream import Process
from rtsep.devices.backend import Ends
from rtsep.devices.pulse.buffers import PulseBuffers
from rtsep.devices.pulse.ends import (
    PulseEnds,
    PulseSettings,
    ends_of_route,
    ends_of_settings,
)
from rtsep.devices.pulse.listing import server_devices
from rtsep.devices.pulse.stream import PulseStream
from rtsep.devices.route import Route


class PulseBackend:
    """Sources and sinks of a PulseAudio server, or of pipewire-pulse; a backend.Backend[PulseEnds].

    Parameters
    ----------
    route : Route, optional
        Where the sound comes from and goes to. It may be replaced at any time, for `find` to see.
    settings : PulseSettings
        What was meant where there is no route.
    buffers : PulseBuffers
        How much sound waits where.
    """

    def __init__(
        self,
        route: Route | None = None,
        settings: PulseSettings = PulseSettings(),  # noqa: B008 (frozen)
        buffers: PulseBuffers = PulseBuffers(),  # noqa: B008 (frozen)
    ):
        self.route, self._settings, self._buffers = route, settings, buffers

    def find(self, before: Ends | None = None) -> PulseEnds:
        """The ends that were asked for, if the server has them; see backend.Backend."""
        present = server_devices()
        if self.route is not None:
            return ends_of_route(self.route, present)
        return ends_of_settings(self._settings, present)

    def open(
        self, ends: PulseEnds, process: Process, on_xruns: Callable[[object], None]
    ) -> PulseStream:
        """A record and a playback stream on them, with the drift followed in between."""
        return PulseStream(ends, self._buffers, process, on_xruns)
