"""rtsep-monitor between other programs: the routing of their streams, and the backend along its route.

players --> sink "rtsep" --> session --> output in use
                                |
                                +------> sources "rtsep vocals", ... of --sources
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from rtsep.cli.backends import make_routed_backend
from rtsep.cli.monitor_report import say
from rtsep.devices.route import Route
from rtsep.live.device_adapter import MIX, MIX_AND_STEMS
from rtsep.routing.events import Failed, OutputChanged, ServerBack, ServerGone, StreamsChanged
from rtsep.routing.request import RoutingRequest
from rtsep.routing.router import Router

if TYPE_CHECKING:
    from rtsep.live.device_session import DeviceSession


class RoutedSound:
    """The routing process of a session, from its virtual devices to their end.

    Parameters
    ----------
    args : argparse.Namespace
        The options; see routing_arguments.is_routed.
    request : RoutingRequest
        What they ask for.

    Attributes
    ----------
    backend : Backend
        Opens streams along the route of now.
    heard : str
        What these are to be given, see DeviceAdapter.

    Raises
    ------
    UsageError, RtsepError
        As Router.start, and where the server has no such backend.
    """

    def __init__(self, args: argparse.Namespace, request: RoutingRequest):
        self._is_microphone = not request.is_heard
        offered = request.stems if request.is_heard else ()
        self._router = Router.start(request)
        try:
            self.backend = make_routed_backend(args, self._route(self._router.route), offered)
        except BaseException:
            self._router.close()
            raise
        self.heard = MIX_AND_STEMS if offered else MIX
        # Streams are moved as soon as sound flows: at first, and when the server has come back.
        self._capture_is_due = True

    def tick(self, session: DeviceSession) -> None:
        """Follow what happens on the server; to be called every now and then by the main thread.

        Raises RtsepError where the routing has ended.
        """
        for event in self._router.poll():
            match event:
                case OutputChanged():
                    self.backend.route = self._route(event.route)
                    session.follow()
                    say(f"the output is {session.ends.output_name} now")
                case StreamsChanged():
                    _tell_streams(event)
                case ServerGone():
                    say("the sound server has gone")
                case ServerBack():
                    self.backend.route = self._route(event.route)
                    self._capture_is_due = True
                case Failed():
                    say(event.line)
        if self._capture_is_due and session.sound_flows:
            self._capture_is_due = False
            self._router.capture()

    def _route(self, route: Route) -> Route:
        return _heard_by_others(route) if self._is_microphone else route

    def close(self) -> None:
        """Give the streams back to the outputs that they had. Again: nothing."""
        if not self._router.close():
            say("the sound server is slow to answer: streams are given back as soon as it does")


def _heard_by_others(route: Route) -> Route:
    """The route of a microphone: nobody here hears it, the mix goes to those who record it."""
    (node,) = route.stem_nodes.values()
    return replace(route, sink=node, sink_rate=route.source_rate, stem_nodes={})


def _tell_streams(event: StreamsChanged) -> None:
    if event.names:
        say(f"filtered now: {', '.join(event.names)}")
    if event.awaited:
        say(f"waiting for {', '.join(event.awaited)} to play")
