"""Karaoke: plays a song without its singer, on the default device or the one named.

python examples/karaoke.py song.mp3 [DEVICE]
"""

import sys

import numpy as np
import sounddevice

import rtsep


def main(song: str, device: str | None = None) -> None:
    """Play `song` with the vocals muted; the device sets the pace."""
    with (
        rtsep.AudioReader(song) as reader,
        rtsep.LiveSeparator(
            "spleeter:2stems",
            stems=["accompaniment"],
            latency="balanced",
            sample_rate=reader.sample_rate,
            channels=reader.channels,
        ) as live,
        sounddevice.OutputStream(reader.sample_rate, 1024, device, reader.channels) as speakers,
    ):
        for block in reader.blocks(1024):
            speakers.write(live.process(block))
        silence = np.zeros((live.latency_samples, reader.channels), np.float32)
        speakers.write(live.process(silence))  # what the nets still hold


if __name__ == "__main__":
    main(*sys.argv[1:])
