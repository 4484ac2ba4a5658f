"""Writing sound to a pipe: raw PCM, or WAV of unknown length. Every block goes out at once."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.channels import from_stereo, to_stereo
from rtsep.dsp.resample import StreamResampler
from rtsep.errors import UsageError
from rtsep.files.clipping import ClippingCounter
from rtsep.files.raw_pcm import RawFormat, encode
from rtsep.files.recording_file import format_chunk

# Programs that read WAV from a pipe take this length for: until it ends.
UNKNOWN_LENGTH = 0xFFFFFFFF
ENCODINGS = {"16": "s16le", "float": "f32le"}


@dataclass(frozen=True)
class PipeTarget:
    """A pipe that sound goes to.

    Parameters
    ----------
    file : binary file
        Opened for writing; it stays open.
    label : str
        How to call it in messages.
    raw : RawFormat, optional
        What raw PCM to write; None for WAV, at the rate and with the channels of the sound.
    bit_depth : {'16', 'float'}
        Of WAV.

    Raises
    ------
    UsageError
        For another bit depth.
    """

    file: BinaryIO
    label: str
    raw: RawFormat | None = None
    bit_depth: str = "16"

    def __post_init__(self) -> None:
        if self.bit_depth not in ENCODINGS:
            raise UsageError(
                f"WAV in a pipe cannot hold bit depth {self.bit_depth}: choose"
                f" {' or '.join(ENCODINGS)}"
            )

    def __str__(self) -> str:
        return self.label


class PipeWriter(ClippingCounter):
    """Sound on its way into a pipe; what StemWriter is to a file.

    Parameters
    ----------
    target : PipeTarget
        Where it goes.
    sample_rate : int
        Of the blocks, in Hz; converted to that of raw PCM.
    channels : int
        Of the blocks, 1 or 2; converted likewise.

    Attributes
    ----------
    stored_rate : int
        Of what is written, in Hz.
    clipped_samples, peak
        See ClippingCounter.

    Raises
    ------
    BrokenPipeError
        Where the reader has gone.
    OSError
        Where nothing more can be written.
    """

    def __init__(self, target: PipeTarget, sample_rate: int, channels: int) -> None:
        raw = target.raw or RawFormat(ENCODINGS[target.bit_depth], sample_rate, channels)
        self.stored_rate = raw.sample_rate
        self._file, self._raw = target.file, raw
        self._resampler = StreamResampler(sample_rate, raw.sample_rate, channels)
        # It goes out with the first sound: where there is none, nothing is written at all.
        self._header = b"" if target.raw is not None else _wav_header(target.bit_depth, raw)

    def __enter__(self) -> PipeWriter:
        return self

    def __exit__(self, *_exception: object) -> None:
        pass

    def write(self, block: NDArray[np.float32]) -> None:
        """Write a block, (samples, channels) float32; full scale is 1."""
        if self._raw.encoding == "s16le":
            self._count_clipping(block)
        self._send(self._resampler.push(block))

    def commit(self) -> None:
        """Write what is left."""
        self._send(self._resampler.flush())

    def _send(self, block: NDArray[np.float32]) -> None:
        if not len(block):
            return
        if block.shape[1] != self._raw.channels:
            block = from_stereo(to_stereo(block), self._raw.channels)
        self._file.write(self._header + encode(block, self._raw.encoding))
        self._file.flush()
        self._header = b""


def _wav_header(bit_depth: str, raw: RawFormat) -> bytes:
    first = struct.pack("<4sI4s", b"RIFF", UNKNOWN_LENGTH, b"WAVE")
    chunk = format_chunk(bit_depth, raw.sample_rate, raw.channels)
    return first + chunk + struct.pack("<4sI", b"data", UNKNOWN_LENGTH)
