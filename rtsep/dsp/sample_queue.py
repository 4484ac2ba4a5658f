"""Samples that wait until others of the same moments are there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class SampleQueue:
    """First in, first out. Holds at most twice what waits at a time, however short the blocks.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int):
        # (samples, channels) float32; those from _first to _stop wait.
        self._samples = np.zeros((0, channels), np.float32)
        self._first = self._stop = 0

    def push(self, block: NDArray[np.float32]) -> None:
        """Add (samples, channels) float32, which are copied."""
        waiting = self._stop - self._first
        if self._stop + len(block) > len(self._samples):
            grown = np.empty((max(2 * waiting, waiting + len(block)), block.shape[1]), np.float32)
            grown[:waiting] = self._samples[self._first : self._stop]
            self._samples, self._first, self._stop = grown, 0, waiting
        self._samples[self._stop : self._stop + len(block)] = block
        self._stop += len(block)

    def take(self, count: int) -> NDArray[np.float32]:
        """The oldest `count` samples, (samples, channels) float32, to be read before the next push.

        No more than wait.
        """
        taken = self._samples[self._first : self._first + count]
        self._first += count
        return taken
