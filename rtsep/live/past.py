"""The newest input of a stream, kept so that an engine made later can be fed with it."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.channels import NET_CHANNELS
from rtsep.errors import RtsepError
from rtsep.live.engine import Engine
from rtsep.live.plans.plan import StreamPlan


class Past:
    """Samples are counted from the start of the stream.

    length: samples kept, at least. taken: samples so far. writer: audio thread; readers: any.
    """

    def __init__(self, length: int):
        # (samples, 2) float32, sample n in row n modulo the length. writer: audio thread; reader:
        # whoever feeds, up to `taken` and no longer ago than the length
        self._samples = np.empty((length, NET_CHANNELS), np.float32)
        self._samples.fill(0.0)  # touches every page before the sound starts
        self.taken = 0

    def remember(self, block: NDArray[np.float32]) -> None:
        """Take the next samples, (samples, 2) float32. Real-time safe."""
        length = len(self._samples)
        kept = block[-length:]
        at = (self.taken + len(block) - len(kept)) % length
        first = min(len(kept), length - at)
        self._samples[at : at + first] = kept[:first]
        self._samples[: len(kept) - first] = kept[first:]
        self.taken += len(block)

    def feed(
        self, engine: Engine, begin: int, end: int, out: NDArray[np.float32], *, waiting: bool
    ) -> None:
        """Give samples `begin` to `end` to `engine`, at most to the end of a hop at a time.

        out: (hop, engine.output_channels) float32, for what it gives back. waiting: for its workers, so
        that no mask is late. Raises RtsepError if the audio thread has overwritten what is read.
        """
        length, hop = len(self._samples), engine.plan.hop
        while begin < end:
            at = begin % length
            count = min(end - begin, hop - begin % hop, length - at)
            if waiting:
                engine.wait_for_workers()
            engine.process(self._samples[at : at + count], out[:count])
            if self.taken - begin > length:
                raise RtsepError(f"the plan {engine.plan.name} cannot catch up: too slow a machine")
            begin += count


def heard_hops(plan: StreamPlan) -> int:
    """Hops whose masks must have been there in time for the output to be what it should."""
    return ceil(plan.latency_samples / plan.hop) + 1


def past_hops(plan: StreamPlan) -> int:
    """Hops of the past that the output of now depends on, at most."""
    return plan.frames + heard_hops(plan) + plan.frame_length // plan.hop + plan.stride
