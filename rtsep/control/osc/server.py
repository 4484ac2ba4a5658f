"""The OSC server: messages are commands, and subscribers are told what has changed.

/rtsep/vocals/gain -6         a command (command_path.py)
/rtsep/subscribe [S [PORT]]   tell me all, then changes, for S seconds (to PORT of my host)
/rtsep/unsubscribe            no longer
/rtsep/error TEXT             what the sender of something impossible gets
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from rtsep.control.command_path import command_at
from rtsep.control.osc.packets import Message, read_packet, write_bundles, write_message
from rtsep.control.osc.senders import MOST_WAITING, OnCommand, Place, Sender, Subscriber
from rtsep.control.protocol import Parameter
from rtsep.control.rates import ALL_AT_ONCE, ALL_PER_S, Bucket
from rtsep.errors import UsageError

MOST_SUBSCRIBERS = 16
# Senders that are remembered; whoever was silent for longest is forgotten first.
MOST_SENDERS = 64
DEFAULT_SUBSCRIPTION_S = 60.0
_SECONDS = Parameter("number", 1, 3600)
_PORT = Parameter("whole", 1, 65_535)


class OscServer(asyncio.DatagramProtocol):
    """All senders and subscribers.

    Parameters
    ----------
    on_command : callable
        Is told which sender wants which command.
    on_arrival : callable
        Is told that a subscriber has come, who waits for a state.
    """

    def __init__(self, on_command: OnCommand, on_arrival: Callable[[], None]):
        self._on_command, self._on_arrival = on_command, on_arrival
        # By address and port, those heard last at the end.
        self._senders: OrderedDict[Place, Sender] = OrderedDict()
        self._subscribers: dict[Place, Subscriber] = {}
        self._all_senders = Bucket(ALL_PER_S, ALL_AT_ONCE)
        self._numbers = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        """The socket is there."""
        self._transport = transport

    def datagram_received(self, packet: bytes, place: Place) -> None:
        """Take a packet of anybody's."""
        sender = self._sender(place)
        try:
            for message in read_packet(packet):
                self._take(message, sender, place)
        except UsageError as error:
            self._refuse(sender, str(error))

    def subscribers(self) -> Mapping[Place, Subscriber]:
        """Those whose time is not over."""
        now_s = time.monotonic()
        for place in [place for place, one in self._subscribers.items() if one.until_s <= now_s]:
            del self._subscribers[place]
        return self._subscribers

    def show(self, values: Mapping[str, tuple[Any, ...]]) -> None:
        """Tell subscribers what has changed, of all values by path."""
        for place, subscriber in self.subscribers().items():
            for packet in write_bundles(subscriber.changes(values)):
                self._send(packet, place)

    def refuse(self, number: int, why: str) -> None:
        """Tell a sender, by its number, why its command was refused."""
        for sender in self._senders.values():
            if sender.number == number:
                self._refuse(sender, why)

    def _take(self, message: Message, sender: Sender, place: Place) -> None:
        path, values = message
        if path == "subscribe":
            self._subscribe(sender, place, values)
        elif path == "unsubscribe":
            self._subscribers.pop(sender.reply_to, None)
        elif not sender.take(path, command_at(path, values)):
            raise UsageError(f"more than {MOST_WAITING} commands wait: send more slowly")

    def _subscribe(self, sender: Sender, place: Place, values: list[Any]) -> None:
        seconds = DEFAULT_SUBSCRIPTION_S
        if values:
            seconds = _SECONDS.check("subscribe: seconds", values[0])
        if len(values) > 1:
            port = _PORT.check("subscribe: port", values[1])
            sender.reply_to = (place[0], port, *place[2:])
        target, subscribers = sender.reply_to, self.subscribers()
        if target not in subscribers and len(subscribers) == MOST_SUBSCRIBERS:
            raise UsageError(f"there are {MOST_SUBSCRIBERS} subscribers already")
        # All is told again: whoever asks may have been started anew.
        self._subscribers[target] = Subscriber(seconds)
        self._on_arrival()

    def _sender(self, place: Place) -> Sender:
        sender = self._senders.pop(place, None)
        if sender is None:
            self._numbers += 1
            sender = Sender(self._numbers, place, self._all_senders, self._on_command)
        self._senders[place] = sender
        if len(self._senders) > MOST_SENDERS:
            self._senders.popitem(last=False)
        return sender

    def _refuse(self, sender: Sender, why: str) -> None:
        if sender.may_be_told():
            self._send(write_message("error", [why]), sender.reply_to)

    def _send(self, packet: bytes, place: Place) -> None:
        assert self._transport is not None
        self._transport.sendto(packet, place)
