"""Short seeded songs with true stems, as files: what the tests of `rtsep-bench quality` measure."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

RATE = 44_100
STEMS = ("drums", "bass", "other", "vocals")


def sound(seed: int, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    """Noise, (samples, 2)."""
    return np.random.default_rng(seed).uniform(-0.2, 0.2, (round(seconds * rate), 2))


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    """Write a WAV file with all its digits, and the folders on the way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, "FLOAT")
    return path


def write_song(
    folder: Path, stems: Sequence[str] = STEMS, seconds: float = 1.0, mixture: bool = False
) -> dict[str, np.ndarray]:
    """A folder of stems; mixture: with their sum beside them, as in MUSDB18-HQ."""
    sounds = {stem: sound(seed, seconds) for seed, stem in enumerate(stems)}
    for stem, samples in sounds.items():
        write(folder / f"{stem}.wav", samples)
    if mixture:
        write(folder / "mixture.wav", np.sum([*sounds.values()], axis=0))
    return sounds


def write_stem_file(path: Path, sounds: Sequence[np.ndarray], folder: Path) -> None:
    """A Stem file as MUSDB18's are made: a video of none, stereo AAC tracks, by ffmpeg."""
    inputs, maps = [], []
    for number, samples in enumerate(sounds):
        wav = write(folder / f"{number}.wav", samples)
        inputs += ["-i", str(wav)]
        maps += ["-map", str(number)]
    path.parent.mkdir(parents=True, exist_ok=True)
    words = ["ffmpeg", "-v", "error", *inputs, *maps, "-c:a", "aac", "-b:a", "256k", "-f", "mp4"]
    subprocess.run([*words, str(path)], check=True)
