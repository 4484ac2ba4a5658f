"""A change of sample rate for a stream that comes in blocks of any length.

The filter is soxr's linear-phase "very high quality" one. Its delay is taken out: sample n of the
output stands at the same instant as sample n * rate_in / rate_out of the input, and the whole
stream has exactly `expected_frames` samples, whatever the lengths of the blocks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import UsageError


class StreamResampler:
    """Resample one stream of float32 sound.

    Where both rates are the same, blocks are given back as they came (the very same array).

    Parameters
    ----------
    rate_in, rate_out : int
        Samples per second, at least 1.
    channels : int
        Of every block.

    Raises
    ------
    UsageError
        For rates or channel counts that cannot be.
    """

    def __init__(self, rate_in: int, rate_out: int, channels: int) -> None:
        for name, value in (("rate_in", rate_in), ("rate_out", rate_out), ("channels", channels)):
            if value != int(value) or value < 1:
                raise UsageError(f"{name} must be a whole number of at least 1: got {value}")
        self.rate_in = int(rate_in)
        self.rate_out = int(rate_out)
        self.channels = int(channels)
        self._frames_in = 0
        self._frames_out = 0
        self._flushed = False
        self._soxr = None
        if self.rate_in != self.rate_out:
            import soxr  # here, so that `import rtsep` does not pay for it

            self._soxr = soxr.ResampleStream(
                self.rate_in, self.rate_out, self.channels, dtype="float32", quality="VHQ"
            )

    def expected_frames(self, frames_in: int) -> int:
        """Return how many samples come out in total for `frames_in` samples that went in."""
        return (2 * frames_in * self.rate_out + self.rate_in) // (2 * self.rate_in)

    def push(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next samples; return those of the output that are ready.

        Parameters
        ----------
        block : (samples, channels) float32
            Any number of samples, zero included.

        Returns
        -------
        (samples, channels) float32
            Maybe without a sample.

        Raises
        ------
        UsageError
            For another shape.
        ValueError
            After `flush`.
        """
        if self._flushed:
            raise ValueError("this stream has been flushed: make a new StreamResampler")
        if block.ndim != 2 or block.shape[1] != self.channels:
            raise UsageError(
                f"a block must have the shape (samples, {self.channels}): got {block.shape}"
            )
        self._frames_in += len(block)
        if self._soxr is None:
            self._frames_out += len(block)
            return block
        ready = self._soxr.resample_chunk(np.ascontiguousarray(block, dtype=np.float32))
        self._frames_out += len(ready)
        return ready

    def flush(self) -> NDArray[np.float32]:
        """Return the rest, (samples, channels) float32; nothing can be pushed afterwards.

        What `push` and `flush` have returned together is `expected_frames` long.

        Raises
        ------
        ValueError
            At a second call.
        """
        if self._flushed:
            raise ValueError("this stream has been flushed already")
        self._flushed = True
        rest = np.zeros((0, self.channels), np.float32)
        if self._soxr is None:
            return rest
        missing = self.expected_frames(self._frames_in) - self._frames_out
        tail = self._soxr.resample_chunk(rest, last=True)[:missing]
        # soxr rounds the length as expected_frames does; the padding holds the promise should a
        # version of it round half a sample the other way.
        return np.pad(tail, ((0, missing - len(tail)), (0, 0)))
