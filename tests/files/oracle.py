"""What FFmpeg makes of a file, decoded straight through: nothing placed, nothing filled in."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np


def played_by_ffmpeg(path: Path) -> np.ndarray:
    """The default audio track, packets that cannot be decoded left out; (samples, channels)."""
    pieces: list[np.ndarray] = []
    with path.open("rb") as file, av.open(file) as container:
        tracks = container.streams.audio
        default = [s for s in tracks if s.disposition & av.stream.Disposition.default]
        packets = container.demux((default or tracks)[0])
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.FFmpegError):
                break
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            for frame in frames:
                samples = frame.to_ndarray()
                if not frame.format.is_planar:
                    samples = samples.reshape(-1, frame.layout.nb_channels).T
                pieces.append(scaled(samples, frame.format.packed.name).T)
    return np.concatenate(pieces) if pieces else np.zeros((0, 2), np.float32)


def scaled(samples: np.ndarray, name: str) -> np.ndarray:
    """Samples of FFmpeg's packed format `name` as float32, full scale 1."""
    if name in ("flt", "dbl"):
        return samples.astype(np.float32)
    middle = 128 if name == "u8" else 0
    return ((samples.astype(np.float64) - middle) / 2 ** (8 * samples.itemsize - 1)).astype(
        np.float32
    )
