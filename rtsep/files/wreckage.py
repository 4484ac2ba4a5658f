"""How much time is missing where frames of an MP3 stream were destroyed.

Such a stream has no container that would keep time. FFmpeg cuts what lies between two intact frames
into packets of any length, which cannot be decoded, and counts each as one frame. Measured in bytes
of the frames before, it was some more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet

# How fast the mean length of a frame follows, in a stream of variable bit rate.
FOLLOW = 0.05


class Wreckage:
    """Counts the bytes between intact frames."""

    def __init__(self) -> None:
        self._frame_bytes = 0.0
        self._bytes = self._packets = 0

    def add(self, packet: Packet) -> None:
        """Take a packet that could not be decoded."""
        self._bytes += packet.size
        self._packets += 1

    def lost_s_before(self, packet: Packet) -> float:
        """Seconds missing before an intact packet, beyond what time stamps show; then none again."""
        follow = FOLLOW if self._frame_bytes else 1.0
        lost = 0
        if self._frame_bytes:
            lost = max(0, round(self._bytes / self._frame_bytes) - self._packets)
        self._frame_bytes += follow * (packet.size - self._frame_bytes)
        self._bytes = self._packets = 0
        if not (packet.duration and packet.time_base):
            return 0.0
        return float(lost * packet.duration * packet.time_base)
