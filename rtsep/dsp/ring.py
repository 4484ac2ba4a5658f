"""The ring buffer of everything that passes samples from one thread to another, or holds some back.

    push --> [ . . . oldest ======= newest . . . ] --> pull, or view and advance
                        ^ read        ^ written

It stands in `dsp` because `devices` and `live` both use it, and neither of the two may need the other
for that. Where it is not known beforehand how much will wait, as offline, sample_queue.py grows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.system.memory import touched_zeros


class Ring:
    """A first-in, first-out buffer of fixed length, for one writer and one reader.

    The two may be different threads. Neither waits: the writer alone changes `written`, after the
    samples are in place, and the reader alone changes `read`. Both count samples from the start of the
    stream and never wrap, so sample n stands in row n modulo the length. Every method is real-time
    safe: nothing is allocated after the constructor, which touches every page.

    The writer does not look at `read`: it writes over the oldest samples. Whoever must not lose any
    asks for `room` first; whoever reads behind such a writer checks `holds` afterwards.

    Parameters
    ----------
    length : int
        Samples that it holds.
    channels : int
        Channels of every sample.

    Attributes
    ----------
    written : int
        Samples pushed so far. Writer: the writer.
    read : int
        Number of the next sample to pull. Writer: the reader.
    """

    def __init__(self, length: int, channels: int) -> None:
        # (samples, channels) float32. writer: push; reader: view
        self._samples = touched_zeros((length, channels), np.float32)
        self.written = 0
        self.read = 0

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def waiting(self) -> int:
        """Samples that were pushed and not pulled."""
        return self.written - self.read

    @property
    def room(self) -> int:
        """Samples that can be pushed before one that waits is written over."""
        return len(self._samples) - self.waiting

    def push(self, block: NDArray[np.float32]) -> None:
        """Add `block`, (samples, channels) float32; of one longer than the ring its end.

        For the writer.
        """
        length = len(self._samples)
        kept = block[-length:]
        at = (self.written + len(block) - len(kept)) % length
        first = min(len(kept), length - at)
        self._samples[at : at + first] = kept[:first]
        self._samples[: len(kept) - first] = kept[first:]
        self.written += len(block)

    def push_silence(self, count: int) -> None:
        """Add `count` samples of silence, at most the length. For the writer."""
        length = len(self._samples)
        at = self.written % length
        first = min(count, length - at)
        self._samples[at : at + first] = 0.0
        self._samples[: count - first] = 0.0
        self.written += count

    def view(self, begin: int, most: int) -> NDArray[np.float32]:
        """Samples from number `begin` on, at most `most`, up to the ring's own end; no copy.

        (samples, channels) float32, valid until they are written over. For the reader.
        """
        at = begin % len(self._samples)
        return self._samples[at : at + most]

    def holds(self, begin: int) -> bool:
        """Whether the samples from number `begin` on had not been written over up to now."""
        return self.written - begin <= len(self._samples)

    def advance(self, count: int) -> None:
        """Count `count` samples as read. For the reader."""
        self.read += count

    def pull(self, out: NDArray[np.float32]) -> int:
        """Move the oldest samples to `out`, (samples, channels) float32, as far as there are any.

        For the reader. Returns how many.
        """
        count = min(len(out), self.waiting)
        done = 0
        while done < count:
            part = self.view(self.read, count - done)
            out[done : done + len(part)] = part
            done += len(part)
            self.read += len(part)
        return count

    def clear(self) -> None:
        """Forget what waits. For a thread that is writer and reader at once."""
        self.read = self.written
