"""The clicks before a song begins: high on the first beat of a bar, lower on the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.channels import NET_CHANNELS
from rtsep.errors import UsageError

SLOWEST_BPM, FASTEST_BPM = 20.0, 400.0
MOST_BEATS = 16
_FIRST_HZ, _OTHER_HZ = 1760.0, 1320.0
_CLICK_S, _FADE_S, _PEAK = 0.04, 0.008, 0.5


@dataclass(frozen=True)
class CountIn:
    """How many beats are counted before the sound, and how fast.

    Parameters
    ----------
    beats : int
        0 counts none; MOST_BEATS at most.
    bpm : float
        The song's beats per minute at its own tempo, SLOWEST_BPM to FASTEST_BPM.

    Raises
    ------
    UsageError
        For a value out of these limits.
    """

    beats: int = 0
    bpm: float = 120.0

    def __post_init__(self) -> None:
        if self.beats != int(self.beats) or not 0 <= self.beats <= MOST_BEATS:
            raise UsageError(f"the count-in must be 0 to {MOST_BEATS} beats: got {self.beats:g}")
        if not SLOWEST_BPM <= self.bpm <= FASTEST_BPM:
            raise UsageError(
                f"the song's beats per minute must be {SLOWEST_BPM:g} to {FASTEST_BPM:g}:"
                f" got {self.bpm:g}"
            )

    def clicks(self, rate: int, tempo_percent: float) -> NDArray[np.float32]:
        """The clicks, (samples, 2) float32 at `rate`; the song begins on the beat behind them."""
        beat = round(rate * 60 / self.bpm * 100 / tempo_percent)
        sound = np.zeros((beat * self.beats, NET_CHANNELS), np.float32)
        times = np.arange(min(beat, round(_CLICK_S * rate))) / rate
        for number in range(self.beats):
            frequency = _OTHER_HZ if number else _FIRST_HZ
            click = _PEAK * np.sin(2 * np.pi * frequency * times) * np.exp(-times / _FADE_S)
            sound[number * beat : number * beat + len(click)] = click[:, np.newaxis]
        return sound
