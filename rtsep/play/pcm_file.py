"""Sound on disk in 16 bits, written and read at any sample: what a song's memory would be too long for.

An hour of four stems is 2.5 GB in 16 bits; on disk it costs no memory, and the system keeps in its own
cache what is played. Twice full scale fits, since stems are louder than the song now and then; the
steps of the numbers lie 95 dB below full scale.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# The value that the highest number stands for.
PEAK = 2.0
_SCALE = 32767 / PEAK
SAMPLE_BYTES = 2


class PcmFile:
    """A file of (samples, channels) 16-bit samples.

    Writer: one thread. Readers: any, of samples that are known to be written.

    Parameters
    ----------
    path : Path
        Made if it is not there.
    channels : int

    Raises
    ------
    OSError
        From all methods, as where the disk is full.
    """

    def __init__(self, path: Path, channels: int):
        self.path, self.channels = path, channels
        self._row_bytes = SAMPLE_BYTES * channels
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(path, flags, 0o600)
        # Only where the system has no reading and writing at a place (Windows).
        self._seeking = threading.Lock()

    def write(self, begin: int, block: NDArray[np.float32]) -> None:
        """Write (samples, channels) float32 from sample `begin` on; what is beyond PEAK is cut."""
        scaled = np.rint(block * np.float32(_SCALE))
        np.clip(scaled, -32768, 32767, out=scaled)
        left = memoryview(scaled.astype("<i2").tobytes())
        at = begin * self._row_bytes
        while left:
            written = self._write_at(left, at)
            left, at = left[written:], at + written

    def read(self, begin: int, count: int) -> NDArray[np.float32]:
        """The samples [begin, begin + count), (samples, channels) float32; zeros outside the file."""
        out = np.zeros((count, self.channels), np.float32)
        skipped = min(count, max(0, -begin))
        wanted = count - skipped
        numbers = np.zeros((wanted, self.channels), "<i2")
        if wanted:
            self._read_at(numbers.data.cast("B"), (begin + skipped) * self._row_bytes)
        np.multiply(numbers, np.float32(1 / _SCALE), out=out[skipped:])
        return out

    def close(self) -> None:
        """Close the file; again: nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write_at(self, content: memoryview, at: int) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._descriptor, content, at)
        with self._seeking:
            os.lseek(self._descriptor, at, os.SEEK_SET)
            return os.write(self._descriptor, content)

    def _read_at(self, room: memoryview, at: int) -> None:
        done = 0
        while done < len(room):
            if hasattr(os, "preadv"):
                got = os.preadv(self._descriptor, [room[done:]], at + done)
            else:
                with self._seeking:
                    os.lseek(self._descriptor, at + done, os.SEEK_SET)
                    part = os.read(self._descriptor, len(room) - done)
                room[done : done + len(part)] = part
                got = len(part)
            if got == 0:
                return  # the file's end: zeros
            done += got
