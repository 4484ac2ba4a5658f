"""Sound without a header: samples of one kind, one after the other, the channels side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.channels import NET_CHANNELS, check_channels
from rtsep.errors import AudioFileError, UsageError
from rtsep.files.byte_source import ByteStream
from rtsep.files.remarks import Remarks
from rtsep.files.source import HIGHEST_RATE, LOWEST_RATE

# FFmpeg's names of the encodings, and NumPy's types of a sample.
ENCODINGS = {"s16le": "<i2", "f32le": "<f4"}
FULL_SCALE_16 = 2**15

# What containers begin with: as raw PCM they would be a burst of noise.
_CONTAINER_MARKS = {
    b"RIFF": "WAV", b"RF64": "WAV", b"RIFX": "WAV", b"FORM": "AIFF", b"caff": "CAF", b"fLaC": "FLAC",
    b"OggS": "Ogg", b"ID3": "MP3", b"\x1aE\xdf\xa3": "Matroska",
}  # fmt: skip

# No more is read at once than a pipe holds.
READ_BYTES = 65_536


@dataclass(frozen=True)
class RawFormat:
    """How raw PCM is to be taken: nothing in it says so.

    Parameters
    ----------
    encoding : {'s16le', 'f32le'}
        Type and byte order of the samples.
    sample_rate : int
        In Hz.
    channels : int
        1 or 2, interleaved.

    Raises
    ------
    UsageError
        For others.
    """

    encoding: str
    sample_rate: int = SAMPLE_RATE
    channels: int = NET_CHANNELS

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise UsageError(
                f"unknown encoding {self.encoding!r} of raw PCM: choose {' or '.join(ENCODINGS)}"
            )
        if not LOWEST_RATE <= self.sample_rate <= HIGHEST_RATE:
            raise UsageError(
                f"the sample rate of raw PCM must be from {LOWEST_RATE} to {HIGHEST_RATE} Hz: got"
                f" {self.sample_rate}"
            )
        check_channels(self.channels)

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of one sample of all channels."""
        return np.dtype(ENCODINGS[self.encoding]).itemsize * self.channels


def encode(block: NDArray[np.float32], encoding: str) -> bytes:
    """(samples, channels) float32, full scale at 1, as raw PCM; integers are limited to full scale."""
    if encoding == "f32le":
        return np.ascontiguousarray(block, "<f4").tobytes()
    scaled = np.rint(block * np.float32(FULL_SCALE_16))
    return np.clip(scaled, -FULL_SCALE_16, FULL_SCALE_16 - 1).astype("<i2").tobytes()


class RawSource:
    """Raw PCM in a stream; see `rtsep.files.source.Source` for the attributes.

    Raises AudioFileError where nothing comes, or what comes is a container.
    """

    def __init__(self, file: ByteStream, raw: RawFormat) -> None:
        self.sample_rate = raw.sample_rate
        self.channels = self.source_channels = raw.channels
        self.samples_estimate: int | None = None
        self.samples_declared: int | None = None
        self.remarks = Remarks()
        self._file, self._raw = file, raw
        self._first = file.read(READ_BYTES)
        if not self._first:
            raise AudioFileError(f"{file.label} is empty: it has 0 bytes")
        for mark, container in _CONTAINER_MARKS.items():
            if self._first.startswith(mark):
                raise AudioFileError(
                    f"{file.label} is {container} by its first bytes, not raw PCM: read it as that"
                )

    def pieces(self, start_sample: int) -> Iterator[NDArray[np.float32]]:
        """Yield the sound from `start_sample` on, (samples, channels) float32, as it comes."""
        skip_bytes = start_sample * self._raw.bytes_per_sample
        rest, content = b"", self._first
        while content:
            dropped = min(skip_bytes, len(content))
            skip_bytes -= dropped
            content = rest + content[dropped:]
            whole = len(content) - len(content) % self._raw.bytes_per_sample
            rest = content[whole:]
            if whole:
                yield self._decode(content[:whole])
            content = self._file.read(READ_BYTES)
        if rest:
            self.remarks.damage(
                f"ends in the middle of a sample: its last {len(rest)} of"
                f" {self._raw.bytes_per_sample} bytes are left out"
            )

    def _decode(self, content: bytes) -> NDArray[np.float32]:
        samples = np.frombuffer(content, ENCODINGS[self._raw.encoding])
        block = samples.reshape(-1, self.channels).astype(np.float32)
        return block if self._raw.encoding == "f32le" else block / np.float32(FULL_SCALE_16)

    def close(self) -> None:
        """There is nothing to let go of; the stream is its owner's to close."""
