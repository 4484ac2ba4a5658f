"""MIDI messages, as what has been touched and how far."""

from __future__ import annotations

from typing import NamedTuple

from rtsep.control.midi.midi_map import CONTROL_CHANGE, NOTE, PROGRAM_CHANGE

HIGHEST = 127
# From here on a control that sends values is a button that is held.
PRESSED = 64


class Event(NamedTuple):
    """A control that was moved.

    kind: what it sends. number, channel: which it is. position: 0 to HIGHEST; of a note how hard it was
    hit, 0 at its end.
    """

    kind: str
    number: int
    channel: int
    position: int

    @property
    def is_pressed(self) -> bool:
        """Whether it is a button that is down."""
        return self.position >= (PRESSED if self.kind == CONTROL_CHANGE else 1)


def read_event(message: bytes) -> Event | None:
    """What a message tells; None where it is of another kind, or damaged."""
    if not message or any(byte > HIGHEST for byte in message[1:]):
        return None
    status, channel = message[0] & 0xF0, (message[0] & 0x0F) + 1
    if len(message) == 3 and status in (0x80, 0x90):
        return Event(NOTE, message[1], channel, message[2] if status == 0x90 else 0)
    if len(message) == 3 and status == 0xB0:
        return Event(CONTROL_CHANGE, message[1], channel, message[2])
    if len(message) == 2 and status == 0xC0:
        return Event(PROGRAM_CHANGE, message[1], channel, HIGHEST)
    return None
