"""The routing itself: devices that are made, streams that are moved, an output that is followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rtsep.devices.route import PIPEWIRE, PULSEAUDIO, Route
from rtsep.errors import RtsepError, UsageError
from rtsep.routing import devices, streams
from rtsep.routing.devices import SINK, is_ours
from rtsep.routing.events import Event, Failed, OutputChanged, StreamsChanged
from rtsep.routing.journal import Journal
from rtsep.routing.loopback import PROGRAM as LOOPBACK
from rtsep.routing.loopback import Loopback, out_node
from rtsep.routing.moves import moves_of
from rtsep.routing.owner import Owner
from rtsep.routing.put_back import put_back
from rtsep.routing.request import RoutingRequest
from rtsep.routing.server import NONE, SoundServer, find


class Routing:
    """What a request has made of one server, from its devices to their end.

    tell: takes the events.
    Raises UsageError or RtsepError if the request cannot be met; then nothing is left behind.
    """

    def __init__(
        self,
        server: SoundServer,
        request: RoutingRequest,
        owner: Owner,
        tell: Callable[[Event], None],
    ) -> None:
        self._server, self._request, self._owner, self._tell = server, request, owner, tell
        self._moves = moves_of(server)
        self._journal = Journal(server.cookie)
        self._capturing = False
        self._arrived: set[int] = set()
        self._left_alone: set[int] = set()
        self._told: StreamsChanged | None = None
        devices.check_free(server, devices.names(request, server))
        self._output: Any = None
        self._loopback: Loopback | None = None
        try:
            self.route = self._make()
            server.subscribe()
        except BaseException:
            self.put_back()
            raise

    def capture(self) -> None:
        """Begin to move streams: somebody reads what they play."""
        self._capturing = self._request.capture
        self.update()

    def update(self) -> None:
        """Follow what has changed on the server."""
        if self._loopback is not None and not devices.has_sink(self._server):
            self._make_sink_anew(self._loopback)
        if self._output is not None:
            self._follow_output()
        if self._capturing:
            self._move_streams()

    def put_back(self) -> None:
        """Undo everything."""
        try:
            put_back(self._server, self._owner)
        finally:
            if self._loopback is not None:
                self._loopback.close()

    def _make(self) -> Route:
        """Make the devices; the route along them."""
        server, request, owner = self._server, self._request, self._owner
        if request.is_heard:
            self._output = self._first_output()
        source_node = None
        if request.capture:
            source, rate = f"{SINK}.monitor", self._output.rate
            self._loopback = devices.make_sink(server, owner, rate)
            source_node = None if self._loopback is None else out_node(SINK)
        else:
            microphone = self._choose_input()
            source, rate = microphone.name, microphone.rate
        nodes = devices.make_sources(server, owner, request.stems, rate)
        sink, sink_rate = (self._output.name, self._output.rate) if request.is_heard else (None, 0)
        kind = PIPEWIRE if server.is_pipewire else PULSEAUDIO
        return Route(kind, source, rate, sink, sink_rate, nodes, source_node)

    def _make_sink_anew(self, ended: Loopback) -> None:
        """Make the sink again whose process has ended; the streams' targets name it still."""
        ended.close()
        self._tell(
            Failed(f"{LOOPBACK}, which holds the sink {SINK}, has ended: it is started anew")
        )
        # The server has moved them, and not their users.
        self._arrived.clear()
        self._loopback = devices.make_sink(self._server, self._owner, self.route.source_rate)

    def _first_output(self) -> Any:
        """As `_choose_output`, and what was asked for must be there."""
        if self._request.output is not None:
            find(self._others(), self._request.output, "output")
        output = self._choose_output()
        if output is None:
            raise RtsepError("the sound server has no output to play to: connect one")
        return output

    def _follow_output(self) -> None:
        output = self._choose_output()
        if output is not None and output.name != self._output.name:
            self._output = output
            self.route = replace(self.route, sink=output.name, sink_rate=output.rate)
            self._tell(OutputChanged(self.route))

    def _others(self) -> list[Any]:
        return [sink for sink in self._server.sinks() if not is_ours(sink.name)]

    def _choose_output(self) -> Any:
        """The sink to play to: the one asked for, the default one, the one so far, or any.

        Never one of rtsep's own, even if somebody makes it the default one. None if there is none.
        """
        sinks = self._others()
        if self._request.output is not None:
            try:
                return find(sinks, self._request.output, "output")
            except UsageError:
                pass  # unplugged
        by_name = {sink.name: sink for sink in sinks}
        so_far = self._output.name if self._output is not None else ""
        for name in (self._server.default_sink(), so_far):
            if name in by_name:
                return by_name[name]
        return sinks[0] if sinks else None

    def _choose_input(self) -> Any:
        sources = [source for source in self._server.sources() if not is_ours(source.name)]
        if self._request.input is not None:
            return find(sources, self._request.input, "input")
        default = self._server.default_source()
        for source in sources:
            if source.name == default:
                return source
        raise RtsepError("the sound server has no input to record from: connect a microphone")

    def _move_streams(self) -> None:
        ours = {sink.index for sink in self._server.sinks() if sink.name == SINK}
        playing = self._server.streams()
        movable = [stream for stream in playing if streams.may_be_moved(stream, self._owner)]
        names = []
        for stream in movable:
            if stream.index in self._left_alone:
                continue
            if not streams.is_asked_for(stream, self._request.apps):
                continue
            if stream.sink in ours:
                self._arrived.add(stream.index)
            elif stream.index in self._arrived and stream.sink != NONE:
                # Its user, or another program, has moved it elsewhere, and is not contradicted.
                self._left_alone.add(stream.index)
                self._moves.release(stream, self._journal)
                self._journal.write(self._owner)
                continue
            if str(stream.index) in self._journal.streams or self._move(stream):
                names.append(streams.label(stream))
        self._forget_ended({stream.index for stream in playing})
        awaited = tuple(
            app
            for app in self._request.apps
            if not any(streams.is_of(stream, app) for stream in movable)
        )
        told = StreamsChanged(tuple(dict.fromkeys(names)), awaited)
        if told != self._told:
            self._told = told
            self._tell(told)

    def _move(self, stream: Any) -> bool:
        """Move a stream; whether it is moved. The journal is written first."""
        self._moves.note(stream, self._journal)
        self._journal.write(self._owner)
        if self._moves.capture(stream):
            return True
        self._left_alone.add(stream.index)
        if any(stream.index == other.index for other in self._server.streams()):
            self._tell(Failed(f"the sound server does not let {streams.label(stream)} be moved"))
        return False

    def _forget_ended(self, playing: set[int]) -> None:
        self._arrived &= playing
        self._left_alone &= playing
        self._journal.streams = {
            index: note for index, note in self._journal.streams.items() if int(index) in playing
        }
