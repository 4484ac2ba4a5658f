"""The sound that benchmarks run on: a song from a file, or a seeded one a little like music."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import FRAME_LENGTH, HOP, SAMPLE_RATE
from rtsep.dsp.channels import to_stereo
from rtsep.dsp.resample import StreamResampler
from rtsep_bench.official import analyse

BLOCK_SAMPLES = 65_536
BEAT_S = 0.5
# What Spleeter's nets are used to: about -19 dBFS.
LEVEL_RMS = 10 ** (-19 / 20)


def song(path: Path, seconds: float) -> NDArray[np.float32]:
    """That many seconds of a file, (samples, 2) float32 at 44.1 kHz; a shorter one is repeated.

    Raises AudioFileError.
    """
    from rtsep.files.reader import AudioReader

    with AudioReader(path, 0.0, seconds) as reader:
        resampler = StreamResampler(reader.sample_rate, SAMPLE_RATE, reader.channels)
        blocks = [resampler.push(block) for block in reader.blocks(BLOCK_SAMPLES)]
        blocks.append(resampler.flush())
    sound = to_stereo(np.concatenate(blocks))
    # np.resize begins again at the first sample where there are not enough.
    return np.resize(sound, (round(seconds * SAMPLE_RATE), 2))


def music(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Chords, bass, a wavering lead and a drum on every beat: (samples, 2) float32, 44.1 kHz."""
    random = np.random.default_rng(seed)
    samples = round(seconds * SAMPLE_RATE)
    time_s = np.arange(samples) / SAMPLE_RATE
    beat = (time_s / BEAT_S).astype(int)
    since_beat_s = time_s - beat * BEAT_S
    beats = beat[-1] + 1
    # One root per bar of four beats, one note of the lead per beat; semitones above 55 Hz.
    roots = np.repeat(random.integers(0, 12, beats // 4 + 1), 4)
    melody = random.choice([24, 26, 28, 31, 33, 36], beats + 1)
    sound = np.zeros((samples, 2))
    for semitones in (12, 16, 19):
        chord = _tone(time_s, _hertz(roots[beat] + semitones), 6, 0.5)
        sound += chord[:, np.newaxis] * random.uniform(0.05, 0.15, 2)
    bass = _tone(time_s, _hertz(roots[beat]), 4, 0.4) * np.exp(-3 * since_beat_s)
    wavering = _hertz(melody[beat] + 0.3 * np.sin(2 * np.pi * 5.5 * time_s))
    lead = _tone(time_s, wavering, 10, 0.7) * np.sin(np.pi * since_beat_s / BEAT_S) ** 0.5
    drum = random.standard_normal(samples) * np.exp(-30 * since_beat_s)
    sound += (0.3 * bass + 0.25 * lead)[:, np.newaxis] + drum[:, np.newaxis] * [0.2, 0.16]
    sound *= LEVEL_RMS / np.sqrt(np.mean(sound**2))
    return sound.astype(np.float32)


def music_magnitudes(frames: int, bins: int) -> NDArray[np.float32]:
    """What a net would be shown of `music`: (frames, bins, 2) float32 magnitudes."""
    spectra = analyse(music((frames * HOP + FRAME_LENGTH) / SAMPLE_RATE))
    # Past the frame of zeros in front and its overlap.
    first = FRAME_LENGTH // HOP
    return np.abs(spectra[first : first + frames, :bins]).astype(np.float32)


def _hertz(semitones: NDArray) -> NDArray[np.float64]:
    return 55.0 * 2 ** (semitones / 12)


def _tone(time_s: NDArray, hertz: NDArray, partials: int, decay: float) -> NDArray[np.float64]:
    """A tone of `partials` harmonics, each `decay` times the one before."""
    phase = 2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE
    return sum((decay**k * np.sin((k + 1) * phase) for k in range(partials)), np.zeros(len(time_s)))
