"""PipeWire's metadata: where a stream is to be linked to, read and written by `pw-metadata`.

A move through pipewire-pulse sets `target.object` to the number of a sink, and WirePlumber remembers
that sink for the application for good. rtsep sets it to its sink's name. WirePlumber 0.4 links by a
name as well, and remembers none.
"""

from __future__ import annotations

import re

from rtsep.routing.pipewire_tools import run

PROGRAM = "pw-metadata"
TARGET, TARGET_NODE = "target.object", "target.node"
_ENTRY = re.compile(r"id:(\d+) key:'([^']*)' value:'([^']*)'")


def targets() -> dict[int, dict[str, str]]:
    """The targets that are set, by the number of the stream's node and by key."""
    found: dict[int, dict[str, str]] = {}
    for node, key, value in _ENTRY.findall(run(PROGRAM)):
        if key in (TARGET, TARGET_NODE):
            found.setdefault(int(node), {})[key] = value
    return found


def write(node: int, key: str, value: str) -> None:
    """Set one target of a stream's node."""
    run(PROGRAM, str(node), key, value, *(("Spa:Id",) if value.lstrip("-").isdigit() else ()))


def delete(node: int, key: str) -> None:
    """Remove one target of a stream's node."""
    run(PROGRAM, "-d", str(node), key)
