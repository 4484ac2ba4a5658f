"""A float WAV file that can be played at any moment of its making, and may be longer than 4 GB.

    bytes  0  RIFF, length, WAVE          RF64, -1, WAVE
          12  JUNK, 28 bytes of nothing   ds64: 64-bit lengths of file and sound, samples
          48  fmt: float, channels, rate
          72  fact: samples               -1
          84  data, length                -1
          92  the samples

The left column holds up to 4 GB; beyond, the right one takes its place (EBU Tech 3306), without a
sample being moved. The header is written in one piece, so whatever happens between two updates, the
file plays as far as the last one says. Written here and not by libsndfile, because it must be known
what has reached the file when the disk is full.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RIFF_BYTES_MAX = 2**32 - 1
HEADER_BYTES = 92
IN_DS64 = 0xFFFFFFFF
INTEGERS, IEEE_FLOAT = 1, 3
SAMPLE_BYTES = 4


class RecordingFile:
    """One file of float32 samples being recorded under its final name, which must be free.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    sample_rate : int
        In Hz.
    channels : int
        Of the blocks and of the file.
    riff_bytes_max : int
        From which length on it is RF64.

    Attributes
    ----------
    samples : int
        Samples per channel in the file.

    Raises
    ------
    OSError
        From all methods; FileExistsError from the constructor where there is such a file.
    """

    def __init__(
        self, path: Path, sample_rate: int, channels: int, riff_bytes_max: int = RIFF_BYTES_MAX
    ) -> None:
        self.path = path
        self.samples = 0
        self._sample_rate, self._channels = sample_rate, channels
        self._riff_bytes_max = riff_bytes_max
        self._file = path.open("x+b", buffering=0)
        try:
            self.update_header()
        except OSError:
            self.remove()
            raise

    def append(self, block: NDArray[np.float32]) -> None:
        """Append (samples, channels) float32. On an error `samples` counts what has arrived whole."""
        left = memoryview(np.asarray(block, "<f4").tobytes())
        position = self._end_bytes(self.samples)
        self._file.seek(position)
        try:
            while left:
                written = self._file.write(left)
                position += written
                left = left[written:]
        finally:
            self.samples = (position - HEADER_BYTES) // (SAMPLE_BYTES * self._channels)

    def update_header(self) -> None:
        """Let a player find all that has been appended so far."""
        self._file.seek(0)
        self._file.write(self._header())

    def cut(self, samples: int) -> None:
        """Keep the first `samples` per channel."""
        self.samples = min(self.samples, samples)
        self.update_header()
        self._file.truncate(self._end_bytes(self.samples))

    def is_removed(self) -> bool:
        """Whether the file has been deleted while it is written, as with its folder."""
        return os.name != "nt" and os.fstat(self._file.fileno()).st_nlink == 0

    def is_in_place(self) -> bool:
        """Whether `path` still is this file, and not moved away."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False

    def restore(self) -> None:
        """Write a file that has been deleted once more, with its folder, from what is still open."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        copy = self.path.open("x+b", buffering=0)
        self._file.seek(0)
        try:
            shutil.copyfileobj(self._file, copy, 1 << 20)
        finally:
            self._file.close()
            self._file = copy

    def close(self) -> None:
        """Make sure that all has reached the disk, and close the file."""
        with contextlib.closing(self._file):
            self.update_header()
            os.fsync(self._file.fileno())

    def remove(self) -> None:
        """Close and delete the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _end_bytes(self, samples: int) -> int:
        return HEADER_BYTES + SAMPLE_BYTES * self._channels * samples

    def _header(self) -> bytes:
        sound_bytes = self._end_bytes(self.samples) - HEADER_BYTES
        riff_bytes = self._end_bytes(self.samples) - 8
        if riff_bytes <= self._riff_bytes_max:
            first = struct.pack("<4sI4s4sI28x", b"RIFF", riff_bytes, b"WAVE", b"JUNK", 28)
            samples_32, sound_32 = self.samples, sound_bytes
        else:
            first = struct.pack(
                "<4sI4s4sIQQQI", b"RF64", IN_DS64, b"WAVE", b"ds64", 28, riff_bytes, sound_bytes,
                self.samples, 0,
            )  # fmt: skip
            samples_32 = sound_32 = IN_DS64
        fact_and_data = struct.pack("<4sII4sI", b"fact", 4, samples_32, b"data", sound_32)
        return first + format_chunk("float", self._sample_rate, self._channels) + fact_and_data


def format_chunk(bit_depth: str, sample_rate: int, channels: int) -> bytes:
    """The chunk of a WAV file that says what its samples are. bit_depth: ``16`` or ``float``."""
    tag, bits = {"16": (INTEGERS, 16), "float": (IEEE_FLOAT, 32)}[bit_depth]
    bytes_per_sample = bits // 8 * channels
    return struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, tag, channels, sample_rate, sample_rate * bytes_per_sample,
        bytes_per_sample, bits,
    )  # fmt: skip
