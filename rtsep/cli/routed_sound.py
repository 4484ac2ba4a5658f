"""rtsep-monitor between other programs: the routing of their streams, and the backend along its route.

    players --> sink "rtsep" --> session --> output in use
                                    |
                                    +------> source "rtsep vocals", ... of --sources
"""

from __future__ import annotations

import argparse
import contextlib
from types import TracebackType
from typing import TYPE_CHECKING

from rtsep.cli.monitor_report import say
from rtsep.cli.routing_arguments import routing_request
from rtsep.devices.route import PIPEWIRE
from rtsep.errors import RtsepError
from rtsep.routing.events import Failed, OutputChanged, ServerBack, ServerGone, StreamsChanged
from rtsep.routing.router import Router

if TYPE_CHECKING:
    from rtsep.devices.graph.backend import GraphBackend
    from rtsep.devices.pulse.backend import PulseBackend
    from rtsep.live.device_session import DeviceSession


class RoutedSound:
    """The routing process of a session, from its virtual devices to their end.

    Attributes
    ----------
    backend : Backend
        Opens streams along the route of now.

    Raises
    ------
    UsageError, RtsepError
        As Router.start, and where options contradict each other.
    """

    def __init__(self, args: argparse.Namespace, stems: tuple[str, ...]):
        self._router = Router.start(routing_request(args, stems))
        self._capture_is_due = True
