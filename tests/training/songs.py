"""Seeded songs of two stems that a small net can tell apart: chords that last, and bursts of noise.

Both lie below 1.3 kHz, so that nets of 128 bins see all of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 44_100
TOP_HZ = 1250.0
BURST_SAMPLES = 4_000


def chords(seconds: float, seed: int) -> np.ndarray:
    """Chords of three tones, a new one every half second; (samples, 2) float32."""
    random = np.random.default_rng((seed, 1))
    time_s = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros((len(time_s), 2))
    for start in np.arange(0, seconds, 0.5):
        inside = (time_s >= start) & (time_s < start + 0.5)
        t = time_s[inside] - start
        envelope = np.minimum(1, np.minimum(t, 0.5 - t) / 0.05)
        for _ in range(3):
            tone = np.sin(2 * np.pi * random.uniform(120, 1100) * t + random.uniform(0, 6))
            sound[inside] += (tone * envelope)[:, np.newaxis] * random.uniform(0.04, 0.1, 2)
    return sound.astype(np.float32)


def bursts(seconds: float, seed: int) -> np.ndarray:
    """Short bursts of noise at random times; (samples, 2) float32."""
    random = np.random.default_rng((seed, 2))
    sound = np.zeros((round(seconds * RATE), 2))
    decay = np.exp(-np.arange(BURST_SAMPLES) / 700)[:, np.newaxis]
    for _ in range(round(4 * seconds)):
        spectrum = np.fft.rfft(random.standard_normal((BURST_SAMPLES, 2)) * decay, axis=0)
        spectrum[round(TOP_HZ * BURST_SAMPLES / RATE) :] = 0
        burst = np.fft.irfft(spectrum, BURST_SAMPLES, axis=0)
        start = random.integers(len(sound) - BURST_SAMPLES)
        sound[start : start + BURST_SAMPLES] += 1.2 * burst
    return sound.astype(np.float32)


def write_songs(folder: Path, count: int, seconds: float = 6.0, first_seed: int = 0) -> Path:
    """Write `count` songs, each a folder of two stems; returns `folder`."""
    for seed in range(first_seed, first_seed + count):
        song = folder / f"song {seed}"
        song.mkdir(parents=True)
        for name, sound in (("chords", chords(seconds, seed)), ("bursts", bursts(seconds, seed))):
            soundfile.write(song / f"{name}.wav", sound, RATE, subtype="FLOAT")
    return folder
