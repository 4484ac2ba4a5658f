"""PipeWire's nodes and their ports, as `pw-dump` lists them.

Names of ports are made of descriptions for JACK's clients, and several nodes may have the same one. The
node's own name, and the serial number of a port, which libjack makes the port's UUID of, are reliable.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtsep.devices.graph.libjack import NO_SERVER
from rtsep.errors import MissingLibraryError, RtsepError

# What the server may take to answer on a busy machine.
ANSWER_S = 10.0
MONITOR = ".monitor"
SINK, SOURCE = "sink", "source"
_STEREO = ("FL", "FR")
_NULL_SINK = "support.null-audio-sink"
# Nodes that have one of these in common run in one graph, as if they were linked.
_GROUPS = ("node.group", "node.link-group")


@dataclass(frozen=True)
class NodePort:
    """An audio port of a node. `serial`: its number, which is never given to another one."""

    serial: int
    node: int
    number: int
    is_input: bool
    channel: str


class PipeWireNodes:
    """What there was when it was asked for.

    Parameters
    ----------
    objects : sequence of mapping
        As `pw-dump` prints them.
    """

    def __init__(self, objects: Sequence[Mapping[str, Any]]):
        self._properties = {o["id"]: _properties(o) for o in objects if _is(o, "Node")}
        self._ports = [_port(o) for o in objects if _is(o, "Port")]
        self._links = [
            (o["info"]["output-node-id"], o["info"]["input-node-id"])
            for o in objects
            if _is(o, "Link")
        ]
        self._defaults: dict[str, str] = {}
        for item in objects:
            for entry in item.get("metadata") or ():
                name = entry.get("value")
                if isinstance(name, Mapping) and "name" in name:
                    self._defaults[entry["key"]] = name["name"]

    def default(self, kind: str) -> str | None:
        """The name of the default node, of SINK or SOURCE; that of a sink stands for its monitor."""
        return self._defaults.get(f"default.audio.{kind}")

    def node_of(self, serial: int) -> int | None:
        """The node of a port."""
        return next((port.node for port in self._ports if port.serial == serial), None)

    def gives_a_cycle_later(self, serial: int) -> bool:
        """Whether a port is of a null sink that leads its graph: its monitor is a cycle behind.

        It does not say so, other than sound cards. Of all nodes that are linked the one of the highest
        `priority.driver` leads, of equals the oldest.
        """
        node = self.node_of(serial)
        if node is None or self._properties[node].get("factory.name") != _NULL_SINK:
            return False
        leading = (n for n in self._graph_of(node) if self._properties[n].get("node.driver"))
        return node == max(leading, key=self._rank, default=None)

    def _rank(self, node: int) -> tuple[int, int]:
        properties = self._properties[node]
        return int(properties.get("priority.driver") or 0), -int(properties["object.serial"])

    def _graph_of(self, node: int) -> set[int]:
        """All nodes that run in one graph with a node."""
        beside: dict[object, set[object]] = {}
        pairs: list[tuple[object, object]] = list(self._links)
        for number, properties in self._properties.items():
            pairs += [(number, (key, properties[key])) for key in _GROUPS if key in properties]
        for one, other in pairs:
            beside.setdefault(one, set()).add(other)
            beside.setdefault(other, set()).add(one)
        found: set[object] = set()
        left: list[object] = [node]
        while left:
            one = left.pop()
            if one not in found:
                found.add(one)
                left += beside.get(one, ())
        return {number for number in self._properties if number in found}

    def description(self, name: str) -> str:
        """How mixers show the node; its name if they have no other."""
        node = self._find(name)
        return name if node is None else str(self._properties[node].get("node.description") or name)

    def ports(self, name: str, *, is_input: bool) -> list[int]:
        """Serial numbers of a node's ports, left and right, or the only one; none if it is not there.

        name: of the node; ``rtsep.monitor`` has what comes out of the sink ``rtsep``.
        """
        node = self._find(name)
        ports = sorted(
            (port for port in self._ports if port.node == node and port.is_input == is_input),
            key=lambda port: port.number,
        )
        stereo = [port for side in _STEREO for port in ports if port.channel == side]
        return [port.serial for port in (stereo if len(stereo) == 2 else ports)[:2]]

    def _find(self, name: str) -> int | None:
        """The newest node of that name: an older one may be about to go.

        One with a class, which clients of JACK lack: rtsep's own has the name of rtsep's sink.
        """
        for wanted in (name, name.removesuffix(MONITOR)):
            found = [
                n
                for n, having in self._properties.items()
                if having.get("node.name") == wanted and having.get("media.class")
            ]
            if found:
                return max(found, key=lambda n: int(self._properties[n].get("object.serial", n)))
        return None


def list_nodes() -> PipeWireNodes:
    """Ask the server.

    Raises
    ------
    MissingLibraryError
        If PipeWire's tools are not installed.
    RtsepError
        If the server does not answer.
    """
    try:
        done = subprocess.run(
            ["pw-dump"], stdin=subprocess.DEVNULL, capture_output=True, timeout=ANSWER_S
        )
        if done.returncode == 0:
            return PipeWireNodes(read_dump(done.stdout.decode()))
    except FileNotFoundError:
        raise MissingLibraryError(
            "pw-dump is not installed: Debian/Ubuntu `apt install pipewire-bin`, Fedora "
            "`dnf install pipewire-utils`"
        ) from None
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        pass  # it is starting, or ending
    raise RtsepError(NO_SERVER)


def read_dump(text: str) -> list[dict[str, Any]]:
    """The objects that `pw-dump` has printed; raises JSONDecodeError where something else stands.

    Behind the list of all objects stand lists of those that changed while it was printed; of one that
    has gone there is only its id.
    """
    objects: dict[int, dict[str, Any]] = {}
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest:
        changed, end = decoder.raw_decode(rest)
        for item in changed:
            if "type" in item:
                objects[item["id"]] = item
            else:
                objects.pop(item["id"], None)
        rest = rest[end:].lstrip()
    return list(objects.values())


def _is(item: Mapping[str, Any], kind: str) -> bool:
    return str(item.get("type", "")).endswith(f":{kind}")


def _properties(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return (item.get("info") or {}).get("props") or {}


def _port(item: Mapping[str, Any]) -> NodePort:
    properties = _properties(item)
    return NodePort(
        int(properties.get("object.serial", -1)),
        int(properties.get("node.id", -1)),
        int(properties.get("port.id", -1)),
        (item.get("info") or {}).get("direction") == "input",
        str(properties.get("audio.channel", "")),
    )
