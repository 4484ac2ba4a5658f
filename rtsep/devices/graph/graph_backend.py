"""The graph as a backend: JACK, or PipeWire through its libjack."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rtsep.devices.audio_stream import Process
from rtsep.devices.backend import Ends
from rtsep.devices.graph.graph_client import GraphClient
from rtsep.devices.graph.graph_ends import (
    PORTS_S,
    GraphEnds,
    ends_by_names,
    ends_by_route,
    port_list,
)
from rtsep.devices.graph.graph_stream import GraphStream
from rtsep.devices.graph.libjack import find_server, load
from rtsep.devices.route import PIPEWIRE, Route

# Samples per cycle that PipeWire is asked for: 5.3 ms at 48 kHz.
BLOCK = 256
LOOKING = "rtsep looking"


class GraphBackend:
    """A client `rtsep` with named ports; a backend.Backend[GraphEnds].

    Parameters
    ----------
    route : Route, optional
        PipeWire's nodes to connect.
    input_name, output_name : str, optional
        Without a route: parts of port names, see `ends_by_names`.
    block : int
        Samples per cycle to ask PipeWire for; 0 for BLOCK. jackd decides by itself.
    stems : sequence of str
        Stems that get ports of their own beside the mix, in the order of the engine's.
    """

    def __init__(
        self,
        route: Route | None = None,
        input_name: str | None = None,
        output_name: str | None = None,
        *,
        block: int = 0,
        stems: Sequence[str] = (),
    ):
        self.route, self._names = route, (input_name, output_name)
        self._block, self._stems = block or BLOCK, tuple(stems)

    def find(self, before: Ends | None = None) -> GraphEnds:
        """The ports that were asked for; nodes that have just been made are waited for.

        Raises
        ------
        RtsepError
            If there is no server or no such node.
        UsageError
            If no port, or ports of several clients, are meant.
        """
        server = PIPEWIRE if self.route is not None else find_server()
        with GraphClient(load(server), LOOKING) as client:
            if self.route is not None:
                timeout_s = PORTS_S if before is None else 0.0
                return ends_by_route(client, self.route, self._stems, timeout_s)
            return ends_by_names(client, self._stems, *self._names, on_pipewire=server == PIPEWIRE)

    def open(
        self, ends: GraphEnds, process: Process, on_xruns: Callable[[object], None]
    ) -> GraphStream:
        """A client with its ports; it joins the graph when it starts."""
        server = PIPEWIRE if self.route is not None else find_server()
        return GraphStream(load(server), ends, self._stems, self._block, process, on_xruns)


def graph_ports() -> str:
    """The ports that there are, a line each. Raises RtsepError if there is no server."""
    with GraphClient(load(find_server()), LOOKING) as client:
        return port_list(client)
