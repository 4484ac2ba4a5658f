"""The graph for a program that only plays: a client with output ports alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rtsep.devices.audio_stream import Process
from rtsep.devices.backend import Output
from rtsep.devices.graph.graph_backend import BLOCK, LOOKING
from rtsep.devices.graph.graph_client import GraphClient
from rtsep.devices.graph.graph_ends import GraphEnds, output_by_name
from rtsep.devices.graph.graph_stream import GraphStream
from rtsep.devices.graph.libjack import find_server, load
from rtsep.devices.route import PIPEWIRE
from rtsep.errors import RtsepError


@dataclass(frozen=True)
class GraphOutput(Output):
    """Ports to play to; ends: the same, as a GraphStream connects them."""

    ends: GraphEnds


class GraphPlayback:
    """A client `rtsep` that plays; a backend.PlaybackBackend[GraphOutput].

    Parameters
    ----------
    output_name : str, optional
        Parts of port names, see `ends_by_names`.
    block : int
        Samples per cycle to ask PipeWire for; 0 for BLOCK. jackd decides by itself.
    """

    def __init__(self, output_name: str | None = None, block: int = 0):
        self._name, self._block = output_name, block or BLOCK

    def find(self, before: Output | None = None) -> GraphOutput:
        """See PlaybackBackend; raises as GraphBackend.find."""
        server = find_server()
        with GraphClient(load(server), LOOKING) as client:
            ends = output_by_name(client, self._name, on_pipewire=server == PIPEWIRE)
        if before is not None and before.rate != ends.output_rate:
            raise RtsepError(
                f"the graph runs at {ends.output_rate} Hz now, not at {before.rate} Hz: start again"
            )
        return GraphOutput(ends.output_name, ends.output_rate, ends.channels_out, ends)

    def open(
        self, output: GraphOutput, process: Process, on_xruns: Callable[[object], None]
    ) -> GraphStream:
        """See PlaybackBackend."""
        return GraphStream(load(find_server()), output.ends, (), self._block, process, on_xruns)
