"""Moving streams to rtsep's sink and back, so that nothing is left of it.

Both servers remember where a user has moved the streams of an application to, and neither can tell
rtsep from a user.

PulseAudio keeps it in the stream and in an entry of module-stream-restore. A move to the default
sink clears both (from version 14 on); what the entry named before is written back.

PipeWire keeps it in the metadata of the stream's node, and WirePlumber copies it into a file. rtsep
sets `target.object` alone, to a name, and back to what it was. `target.node`, which holds the user's
choice as well, stays. See metadata.py.
"""

from __future__ import annotations

from typing import Any, Protocol

from rtsep.errors import RtsepError
from rtsep.routing import metadata
from rtsep.routing.devices import SINK
from rtsep.routing.journal import Journal
from rtsep.routing.server import SoundServer

_RESTORE_ID = "module-stream-restore.id"


class Moves(Protocol):
    """How one kind of server moves streams."""

    def note(self, stream: Any, journal: Journal) -> None:
        """Enter into the journal what a stream has to be given back."""

    def capture(self, stream: Any) -> bool:
        """Move a stream to rtsep's sink; whether the server has taken it."""

    def release(self, stream: Any, journal: Journal) -> None:
        """Strike out of the journal a stream that its user has moved elsewhere meanwhile."""

    def put_back(self, journal: Journal) -> None:
        """Move all streams back, and have the server remember what it did before."""


def moves_of(server: SoundServer) -> Moves:
    """The moves of a server."""
    return PipeWireMoves(server) if server.is_pipewire else PulseAudioMoves(server)


class PulseAudioMoves:
    """Moves on PulseAudio."""

    def __init__(self, server: SoundServer) -> None:
        self._server = server

    def note(self, stream: Any, journal: Journal) -> None:
        """Enter the stream's sink, unless it is the default one, and its entry in the memory."""
        names = {sink.index: sink.name for sink in self._server.sinks()}
        name = names.get(stream.sink)
        if name is None or name in (SINK, self._server.default_sink()):
            journal.streams[str(stream.index)] = {}
        else:
            journal.streams[str(stream.index)] = {"sink": name}
        entry_name = stream.proplist.get(_RESTORE_ID)
        if entry_name and entry_name not in journal.remembered:
            entry = self._server.remembered().get(entry_name)
            device = entry.device if entry is not None else None
            journal.remembered[entry_name] = None if device == SINK else device

    def capture(self, stream: Any) -> bool:
        """Move the stream."""
        sink = next((sink for sink in self._server.sinks() if sink.name == SINK), None)
        return sink is not None and self._server.move(stream.index, sink.index)

    def release(self, stream: Any, journal: Journal) -> None:
        """Strike out the stream, and its entry in the memory, which is the user's new choice."""
        journal.streams.pop(str(stream.index), None)
        journal.remembered.pop(stream.proplist.get(_RESTORE_ID, ""), None)

    def put_back(self, journal: Journal) -> None:
        """Move the streams, then write the memory, which the moves have changed."""
        sinks = {sink.name: sink.index for sink in self._server.sinks()}
        default = sinks.get(self._server.default_sink())
        ours = sinks.get(SINK)
        for stream in self._server.streams():
            if ours is not None and stream.sink == ours:
                name = journal.streams.get(str(stream.index), {}).get("sink", "")
                target = sinks.get(name, default)
                if target is not None and target != ours:
                    self._server.move(stream.index, target)
        for name, entry in self._server.remembered().items():
            before = journal.remembered.get(name)
            if entry.device == SINK or (name in journal.remembered and entry.device != before):
                self._server.remember(entry, before)


class PipeWireMoves:
    """Moves on PipeWire."""

    def __init__(self, server: SoundServer) -> None:
        self._server = server

    def note(self, stream: Any, journal: Journal) -> None:
        """Enter the targets that the stream's node has."""
        target = metadata.targets().get(_node(stream), {}).get(metadata.TARGET, SINK)
        journal.streams[str(stream.index)] = {} if target == SINK else {metadata.TARGET: target}

    def capture(self, stream: Any) -> bool:
        """Set the target, and have WirePlumber remember the one before."""
        node = _node(stream)
        before = metadata.targets().get(node, {})
        try:
            metadata.write(node, metadata.TARGET, SINK)
            _remember_again(node, before)
        except RtsepError:
            return False
        return True

    def release(self, stream: Any, journal: Journal) -> None:
        """Strike out the stream."""
        journal.streams.pop(str(stream.index), None)

    def put_back(self, journal: Journal) -> None:
        """Set the targets back."""
        before = {
            _node(stream): journal.streams.get(str(stream.index), {})
            for stream in self._server.streams()
        }
        for node, now in metadata.targets().items():
            if now.get(metadata.TARGET) == SINK:
                metadata.delete(node, metadata.TARGET)
                target = before.get(node, {}).get(metadata.TARGET)
                if target is not None:
                    metadata.write(node, metadata.TARGET, target)
                _remember_again(node, now)


def _remember_again(node: int, targets: dict[str, str]) -> None:
    """Set a stream's `target.node` once more: WirePlumber forgets it with each other target.

    It takes note of changes only. The stream stays where `target.object` has it.
    """
    value = targets.get(metadata.TARGET_NODE)
    if value is not None:
        metadata.delete(node, metadata.TARGET_NODE)
        metadata.write(node, metadata.TARGET_NODE, value)


def _node(stream: Any) -> int:
    return int(stream.proplist["object.id"])
