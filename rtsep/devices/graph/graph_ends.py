"""Which ports of the graph were meant."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rtsep.devices.backend import Ends
from rtsep.devices.graph.graph_client import GraphClient, GraphPort, serial_of, uuid_of
from rtsep.devices.graph.pipewire_nodes import SINK, SOURCE, PipeWireNodes, list_nodes
from rtsep.devices.route import Route
from rtsep.errors import RtsepError, UsageError

# A node that was just made has its ports a little later.
PORTS_S = 3.0
POLL_S = 0.05


@dataclass(frozen=True)
class GraphEnds(Ends):
    """The ports that a stream connects, by UUID: left and right, or one.

    Parameters
    ----------
    sources : tuple of int
        What is taken in.
    sinks : tuple of int
        Where the mix goes; none if it is left to others to connect it.
    stem_sinks : mapping of str to tuple of int
        By stem, where it goes; those that are missing are left to others.
    """

    sources: tuple[int, ...]
    sinks: tuple[int, ...]
    stem_sinks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def graph_ends(
    client: GraphClient,
    stems: Sequence[str],
    input_name: str,
    sources: Sequence[int],
    output_name: str,
    sinks: Sequence[int],
    stem_sinks: Mapping[str, Sequence[int]] | None = None,
) -> GraphEnds:
    """The ends with these ports; the mix and the stems are stereo unless the sink has one port."""
    width = len(sinks) or 2
    return GraphEnds(
        input_name, output_name, client.rate, client.rate, len(sources), width * (1 + len(stems)),
        tuple(sources), tuple(sinks),
        {stem: tuple(ports) for stem, ports in (stem_sinks or {}).items()},
    )  # fmt: skip


def ends_by_route(
    client: GraphClient, route: Route, stems: Sequence[str], timeout_s: float = PORTS_S
) -> GraphEnds:
    """The ports of the nodes of a route, which are waited for.

    Raises RtsepError if a node is not there in time.
    """
    ends_s = time.monotonic() + timeout_s
    while True:
        nodes = list_nodes()
        try:
            return _by_route(client, nodes, route, stems)
        except RtsepError:
            if time.monotonic() >= ends_s:
                raise
        time.sleep(POLL_S)


def _by_route(
    client: GraphClient, nodes: PipeWireNodes, route: Route, stems: Sequence[str]
) -> GraphEnds:
    source = route.source if route.source_node is None else route.source_node
    sources = _node_ports(client, nodes, source, is_input=False)
    sinks = [] if route.sink is None else _node_ports(client, nodes, route.sink, is_input=True)
    stem_sinks = {
        stem: _node_ports(client, nodes, node, is_input=True)
        for stem, node in route.stem_nodes.items()
        if stem in stems
    }
    output_name = "no sink" if route.sink is None else nodes.description(route.sink)
    return graph_ends(
        client, stems, nodes.description(route.source), sources, output_name, sinks, stem_sinks
    )


def ends_by_names(
    client: GraphClient,
    stems: Sequence[str],
    input_name: str | None,
    output_name: str | None,
    *,
    on_pipewire: bool,
) -> GraphEnds:
    """Ports by parts of their names; by default the physical ones, on PipeWire the default nodes'.

    Parameters
    ----------
    input_name, output_name : str or None
        Part of the names of ports of one client, or two such parts with a comma between, for left and
        right.

    Raises
    ------
    UsageError
        If no port, or ports of several clients, are meant, or sound would go round in a circle.
    RtsepError
        If there is no default.
    """
    ports = client.ports()
    nodes = list_nodes() if on_pipewire else None
    sources, taken = _side(client, ports, nodes, input_name, is_input=False)
    sinks, given = _side(client, ports, nodes, output_name, is_input=True)
    if nodes is not None:
        circle = {nodes.node_of(serial_of(uuid)) for uuid in sources} & {
            nodes.node_of(serial_of(uuid)) for uuid in sinks
        }
        if circle:
            raise UsageError(
                f"what is played to {given} comes out of {taken} again: choose another input (-i) or "
                "output (-o)"
            )
    return graph_ends(client, stems, taken, sources, given, sinks)


def output_by_name(client: GraphClient, output_name: str | None, *, on_pipewire: bool) -> GraphEnds:
    """Ends that take nothing in; as `ends_by_names`."""
    nodes = list_nodes() if on_pipewire else None
    sinks, given = _side(client, client.ports(), nodes, output_name, is_input=True)
    return graph_ends(client, (), "nothing", (), given, sinks)


def port_list(client: GraphClient) -> str:
    """All ports, one per line, with the way that sound takes."""
    kinds = {False: "input  (-i)", True: "output (-o)"}
    return "\n".join(
        f"{kinds[port.is_input]}  {port.name}"
        for port in sorted(client.ports(), key=lambda port: port.is_input)
    )


def _side(
    client: GraphClient,
    ports: Sequence[GraphPort],
    nodes: PipeWireNodes | None,
    wanted: str | None,
    *,
    is_input: bool,
) -> tuple[list[int], str]:
    """UUIDs of the ports of one side, and what to call them."""
    ports = [port for port in ports if port.is_input == is_input]
    option, kind = ("-o", "output") if is_input else ("-i", "input")
    if wanted is None and nodes is not None:
        name = nodes.default(SINK if is_input else SOURCE)
        if name is None:
            raise RtsepError(
                f"PipeWire has no default {kind}: connect one, or name ports ({option})"
            )
        return _node_ports(client, nodes, name, is_input=is_input), nodes.description(name)
    if wanted is None:
        found = [port for port in ports if port.is_physical][:2]
        if not found:
            raise RtsepError(f"JACK has no physical {kind}: name ports of a client ({option})")
    else:
        found = [port for part in wanted.split(",") for port in _matching(ports, part, option)]
        found = found[:2]
    return [port.uuid for port in found], ", ".join(port.name for port in found)


def _matching(ports: Sequence[GraphPort], part: str, option: str) -> list[GraphPort]:
    matches = [port for port in ports if part.lower() in port.name.lower()]
    exact = [port for port in matches if part in (port.name, _client(port))]
    matches = exact or matches
    clients = list(dict.fromkeys(_client(port) for port in matches))
    if len(clients) == 1:
        return matches
    if not matches:
        names = ", ".join(port.name for port in ports) or "none at all"
        raise UsageError(f"{option} {part!r}: no such port: choose from {names}")
    names = ", ".join(clients)
    raise UsageError(f"{option} {part!r} is ambiguous: name one client's ports: {names}")


def _client(port: GraphPort) -> str:
    return port.name.rpartition(":")[0]


def _node_ports(
    client: GraphClient, nodes: PipeWireNodes, name: str, *, is_input: bool
) -> list[int]:
    """UUIDs of a node's ports. Raises RtsepError if they are not there, or not for this client yet."""
    found = [uuid_of(serial) for serial in nodes.ports(name, is_input=is_input)]
    seen = {port.uuid for port in client.ports()}
    if not found or not seen.issuperset(found):
        what = "input" if is_input else "output"
        raise RtsepError(f"PipeWire has no node {name!r} with an audio {what}: connect it again")
    return found
