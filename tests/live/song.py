"""A song for the live tests, what the engine makes of it, and where in a recording it stands."""

from __future__ import annotations

import numpy as np

from rtsep.live.engine import Engine
from rtsep.live.file_session import run_unpaced
from rtsep.live.plans.plan import PLANS
from rtsep.nets.registry import find_model
from rtsep.weights.load_nets import load_nets

RATE = 44_100
PLAN = PLANS["classic"]


def make_song(duration_s, seed=0):
    """A seeded song of sorts: chords under a vibrato, and noise for drums. (samples, 2) float32.

    There is always some noise, which tells where in the song one is.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(round(duration_s * RATE)) / RATE
    voice = np.sin(2 * np.pi * 330 * t + 3 * np.sin(2 * np.pi * 5.5 * t))
    chord = sum(np.sin(2 * np.pi * pitch * t) for pitch in (110, 138.6, 164.8)) / 3
    drum = rng.standard_normal((len(t), 2)) * (0.2 + np.exp(-12 * (t % 0.5)))[:, None]
    mono = 0.15 * voice + 0.15 * chord
    return (mono[:, None] * [1.0, 0.8] + 0.1 * drum).astype(np.float32)


def position(part, whole):
    """Where in `whole` the sound `part` begins, in samples: the peak of their correlation.

    By phases alone, so that tones, which fit at every period, count no more than noise.
    """
    length = 1 << (len(part) + len(whole) - 1).bit_length()
    spectrum = np.fft.rfft(whole[:, 0], length) * np.conj(np.fft.rfft(part[:, 0], length))
    power = np.abs(spectrum)
    phases = spectrum / (power + 1e-3 * power.mean())
    return int(np.argmax(np.fft.irfft(phases, length)[: len(whole)]))


def vocals_of(song, start):
    """The vocals of a song that comes in at sample `start` of a stream with PLAN, as long as it is.

    Computed as fast as it goes, from the first sample of the stream on: windows fall where they did.
    """
    config = find_model("spleeter:2stems")
    engine = Engine(config, load_nets(config), PLAN, {"vocals": 1.0}, auto_level=False)
    silence = np.zeros((PLAN.latency_samples, 2), np.float32)
    audio = np.concatenate([np.zeros((start, 2), np.float32), song, silence])
    engine.start()
    try:
        blocks = np.array_split(audio, len(audio) // 4096)
        vocals = np.concatenate(list(run_unpaced(engine, blocks)))
    finally:
        engine.stop()
    return vocals[start + PLAN.latency_samples :][: len(song)]
