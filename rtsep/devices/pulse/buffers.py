"""How much sound waits where between PulseAudio and rtsep."""

from __future__ import annotations

from dataclasses import dataclass

# Of a sink's buffer, where it runs dry again and again: the server's main thread, through which all of
# it goes, has no real-time priority.
MOST_BUFFER_S = 0.1


@dataclass(frozen=True)
class PulseBuffers:
    """How much sound the server is asked to keep where, in seconds.

    fragment_s: what a source sends at once. request_s: what a sink asks for, and renders, at once.
    buffer_s: what lies between the answer to a request and the sink, at first. late_s: what a source's
    fragment may come late by, beyond the bridge's own spare.
    """

    fragment_s: float = 0.005
    request_s: float = 0.005
    buffer_s: float = 0.026
    late_s: float = 0.006

    @classmethod
    def of_latency(cls, seconds: float) -> PulseBuffers:
        """For a machine on which threads are late: about `seconds` on either side."""
        least = cls()
        return cls(
            buffer_s=max(least.buffer_s, seconds),
            late_s=max(least.late_s, seconds - least.buffer_s),
        )
