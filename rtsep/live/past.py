"""The newest input of a stream, kept so that an engine made later can be fed with it."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.channels import NET_CHANNELS
from rtsep.dsp.ring import Ring
from rtsep.errors import RtsepError
from rtsep.live.live_engine import LiveEngine
from rtsep.live.plans.plan import StreamPlan


class Past:
    """Samples are counted from the start of the stream.

    length: samples kept, at least. writer: audio thread; readers: any.
    """

    def __init__(self, length: int):
        # writer: audio thread, over the oldest; reader: whoever feeds, who looks whether it was whole
        self._samples = Ring(length, NET_CHANNELS)

    @property
    def taken(self) -> int:
        """Samples so far."""
        return self._samples.written

    def remember(self, block: NDArray[np.float32]) -> None:
        """Take the next samples, (samples, 2) float32. Real-time safe."""
        self._samples.push(block)

    def feed(
        self, engine: LiveEngine, begin: int, end: int, out: NDArray[np.float32], *, waiting: bool
    ) -> None:
        """Give samples `begin` to `end` to `engine`, at most to the end of a hop at a time.

        out: (hop, engine.output_channels) float32, for what it gives back. waiting: for its workers, so
        that no mask is late. Raises RtsepError if the audio thread has overwritten what is read.
        """
        hop = engine.plan.hop
        while begin < end:
            piece = self._samples.view(begin, min(end - begin, hop - begin % hop))
            if waiting:
                engine.wait_for_workers()
            engine.process(piece, out[: len(piece)])
            if not self._samples.holds(begin):
                raise RtsepError(f"the plan {engine.plan.name} cannot catch up: too slow a machine")
            begin += len(piece)


def heard_hops(plan: StreamPlan) -> int:
    """Hops whose masks must have been there in time for the output to be what it should."""
    return ceil(plan.latency_samples / plan.hop) + 1


def past_hops(plan: StreamPlan) -> int:
    """Hops of the past that the output of now depends on, at most."""
    return plan.frames + heard_hops(plan) + plan.frame_length // plan.hop + plan.stride
