"""PipeWire's metadata: where a stream is to be linked to, read and written by `pw-metadata`.

A move through pipewire-pulse sets `target.object` to the number of a sink, and WirePlumber remembers
that sink for the application for good. rtsep sets it to its sink's name. WirePlumber 0.4 links by a
name as well, and remembers none.
"""

from __future__ import annotations

import re
import subprocess

from rtsep.errors import MissingLibraryError, RtsepError, one_line

PROGRAM = "pw-metadata"
TARGET, TARGET_NODE = "target.object", "target.node"
_TIMEOUT_S = 2.0
_ENTRY = re.compile(r"id:(\d+) key:'([^']*)' value:'([^']*)'")


def targets() -> dict[int, dict[str, str]]:
    """The targets that are set, by the number of the stream's node and by key."""
    found: dict[int, dict[str, str]] = {}
    for node, key, value in _ENTRY.findall(_run()):
        if key in (TARGET, TARGET_NODE):
            found.setdefault(int(node), {})[key] = value
    return found


def write(node: int, key: str, value: str) -> None:
    """Set one target of a stream's node."""
    _run(str(node), key, value, *(("Spa:Id",) if value.lstrip("-").isdigit() else ()))


def delete(node: int, key: str) -> None:
    """Remove one target of a stream's node."""
    _run("-d", str(node), key)


def _run(*words: str) -> str:
    try:
        done = subprocess.run(
            [PROGRAM, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_TIMEOUT_S,
        )  # fmt: skip
    except FileNotFoundError:
        raise MissingLibraryError(
            f"PipeWire's program {PROGRAM} is missing, which moves streams: Debian, Ubuntu:"
            " apt install pipewire-bin; Fedora: dnf install pipewire-utils"
        ) from None
    except subprocess.TimeoutExpired:
        raise RtsepError(f"{PROGRAM}: PipeWire gave no answer in {_TIMEOUT_S:g} s") from None
    if done.returncode:
        raise RtsepError(f"{PROGRAM} failed: {one_line(done.stderr or done.stdout)}")
    return done.stdout
