"""What FFmpeg plays of a file, decoded straight through: what the reader is held to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from tests.files.oracle import scaled


@dataclass(frozen=True)
class Played:
    """What was decoded: pieces of one rate and channel count each, (samples, channels) float32."""

    pieces: list[tuple[int, np.ndarray]]

    @property
    def samples(self) -> float:
        """Length in samples at the rate of the beginning."""
        return sum(len(piece) * self.pieces[0][0] / rate for rate, piece in self.pieces)

    @property
    def whole(self) -> np.ndarray | None:
        """All of it, or None where the rate or the channels change on the way."""
        kinds = {(rate, piece.shape[1]) for rate, piece in self.pieces}
        return np.concatenate([piece for _, piece in self.pieces]) if len(kinds) == 1 else None


def play(path: Path) -> Played:
    """Decode the default sound track; packets that cannot be decoded are passed over."""
    pieces = []
    try:
        container = av.open(str(path), metadata_errors="ignore")
    except (av.FFmpegError, OSError, ValueError):
        return Played([])
    with container:
        stream = container.streams.best("audio")
        packets = iter(container.demux(stream)) if stream is not None else iter(())
        while True:
            try:
                packet = next(packets)
            except IndexError:  # PyAV knows no stream that begins in the midst of a file: go on
                packets = iter(container.demux(stream))
                continue
            except (StopIteration, av.FFmpegError):
                return Played([(rate, piece) for rate, piece in pieces if len(piece)])
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            pieces += [(frame.sample_rate, _to_float(frame)) for frame in frames]


def _to_float(frame: av.AudioFrame) -> np.ndarray:
    samples = frame.to_ndarray()
    planar = frame.format.is_planar
    samples = samples.T if planar else samples.reshape(-1, frame.layout.nb_channels)
    return scaled(samples, frame.format.packed.name)
