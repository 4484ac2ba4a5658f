"""Compares the two ways to play at 48 kHz: `python scripts/compare_rates.py demo SONG-FOLDER...`

Resampled to the networks' 44.1 kHz and back, or fed to them as it is; the SDR of the vocals for
look-aheads around that of `low`. A song is `demo` or a folder of stems, as for `rtsep-bench quality`.
docs/experiments.md has what came of it.
"""

from __future__ import annotations

import argparse

import numpy as np
import soxr
from numpy.typing import NDArray

import rtsep
from rtsep.constants import SAMPLE_RATE
from rtsep_bench import true_stems
from rtsep_bench.evaluation import sdr_db

DEVICE_RATE = 48_000
# By way: the rate that the networks are told, and the look-aheads in hops.
WAYS = {"resampled": (DEVICE_RATE, (0, 1)), "fed": (SAMPLE_RATE, (1, 2))}
BLOCK = 1024


def main() -> None:
    """Print a line for each way, look-ahead and song."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("songs", nargs="+", metavar="SONG", help="demo, or a folder of stems")
    for song in true_stems.songs(parser.parse_args().songs, "vocals"):
        mixture, true = (
            soxr.resample(sound, SAMPLE_RATE, DEVICE_RATE, quality="VHQ").astype(np.float32)
            for sound in (song.mixture, song.true)
        )
        for way, (told_rate, look_aheads) in WAYS.items():
            for look_ahead in look_aheads:
                heard, delay = _vocals(mixture, f"64/1/{look_ahead}/1/asymmetric/4", told_rate)
                sdr = sdr_db(heard, _delayed(true, delay))
                print(
                    f"{song.name}: {way}, d {look_ahead}, {1000 * delay / DEVICE_RATE:.1f} ms:"
                    f" {sdr:.2f} dB",
                    flush=True,
                )


def _vocals(
    mixture: NDArray[np.float32], plan: str, told_rate: int
) -> tuple[NDArray[np.float32], float]:
    """What is heard of (samples, 2) at DEVICE_RATE, as long, and its delay in these samples."""
    gains = {"vocals": 1.0, "accompaniment": 0.0}
    with rtsep.LiveSeparator(
        "spleeter:2stems", stems=["vocals"], gains=gains, latency=plan, masking="ratio",
        sample_rate=told_rate, paced=False,
    ) as live:  # fmt: skip
        heard = np.empty_like(mixture)
        for at in range(0, len(mixture), BLOCK):
            live.process(mixture[at : at + BLOCK], heard[at : at + BLOCK])
        return heard, live.latency_ms * told_rate / 1000


def _delayed(sound: NDArray[np.float32], by: float) -> NDArray[np.float64]:
    """`sound` later by a number of samples that need not be whole; what is pushed out is lost."""
    length = len(sound) + int(by) + 4096
    spectrum = np.fft.rfft(sound.astype(np.float64), length, axis=0)
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(length) * by)
    return np.fft.irfft(spectrum * turn[:, np.newaxis], length, axis=0)[: len(sound)]


if __name__ == "__main__":
    main()
