"""OSC packets, read with mistrust, and written.

A single message is python-osc's affair. Bundles are taken apart here: python-osc 1.10 goes round for
ever in one that tells a negative size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from rtsep.errors import UsageError

# Of a packet that comes in, in bytes: a message takes some 40.
LONGEST_PACKET = 4096
# Of one that is sent, for one frame of any network.
_LONGEST_SENT = 1200
_BUNDLE = b"#bundle\0"
_HEAD, _SIZE = 16, 4  # in bytes: of a bundle, of the size of each part
_DEEPEST = 4
ROOT = "/rtsep/"


class Message(NamedTuple):
    """A message without the address's `/rtsep/`."""

    path: str
    values: list[Any]


def read_packet(packet: bytes) -> list[Message]:
    """The messages of a packet, in their order; they are for now, whatever time a bundle tells.

    Raises
    ------
    UsageError
        With a line, for whatever is no packet; then none of it counts.
    """
    if len(packet) > LONGEST_PACKET:
        raise UsageError(f"a packet has {LONGEST_PACKET} bytes at most: got {len(packet)}")
    return [_read_message(part) for part in _parts(packet, 0)]


def _parts(packet: bytes, depth: int) -> Iterator[bytes]:
    """The messages in a bundle, and in bundles in it."""
    if not packet.startswith(_BUNDLE):
        yield packet
        return
    if depth == _DEEPEST:
        raise UsageError(f"bundles lie within bundles {_DEEPEST} deep at most")
    at = _HEAD
    while at < len(packet):
        begin = at + _SIZE
        at = begin + int.from_bytes(packet[at:begin], "big", signed=True)
        if not begin < at <= len(packet):
            raise UsageError("a bundle's sizes do not fit")
        yield from _parts(packet[begin:at], depth + 1)


def _read_message(part: bytes) -> Message:
    try:
        message = OscMessage(part)
        address, values = message.address, message.params
    except Exception:  # of many kinds: the bytes are a stranger's
        raise UsageError("a packet must be an OSC message or a bundle") from None
    if not address.startswith(ROOT):
        raise UsageError(f"addresses begin with {ROOT}: got {address[:40]!a}")
    return Message(address.removeprefix(ROOT), values)


def write_message(path: str, values: Sequence[Any]) -> bytes:
    """A packet of one message; truth values are sent as 0 and 1, as faders and buttons want them."""
    return _build(path, values).dgram


def write_bundles(messages: Mapping[str, Sequence[Any]]) -> list[bytes]:
    """Packets of messages by path."""
    packets, bundle, length = [], OscBundleBuilder(IMMEDIATELY), 0
    for path, values in messages.items():
        message = _build(path, values)
        if length and length + message.size > _LONGEST_SENT:
            packets.append(bundle.build().dgram)
            bundle, length = OscBundleBuilder(IMMEDIATELY), 0
        bundle.add_content(message)
        length += message.size + _SIZE
    return [*packets, bundle.build().dgram] if length else packets


def _build(path: str, values: Sequence[Any]) -> OscMessage:
    builder = OscMessageBuilder(ROOT + path)
    for value in values:
        builder.add_arg(int(value) if isinstance(value, bool) else value)
    return builder.build()
