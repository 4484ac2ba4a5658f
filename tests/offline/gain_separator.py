"""A separator whose result is known beforehand: every stem is the sound times a factor."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

DELAY_SAMPLES = 100_000


class GainSeparator:
    """Stands in for rtsep.offline.separator.Separator.

    gains: the factor of each stem.  gain: a factor on all of them.
    """

    def __init__(self, gains: Mapping[str, float], gain: float = 1.0) -> None:
        self.stems = tuple(gains)
        self.precision = "f32"
        self.formats: list[tuple[int, int]] = []
        self._factors = {stem: np.float32(gain * factor) for stem, factor in gains.items()}

    def stream(self, sample_rate: int = 44_100, channels: int = 2) -> GainStream:
        self.formats.append((sample_rate, channels))
        return GainStream(self._factors, channels)


class GainStream:
    """Gives the sound out in portions after a delay, as the real one does."""

    def __init__(self, factors: Mapping[str, np.float32], channels: int) -> None:
        self._factors = factors
        self._waiting = np.zeros((0, channels), np.float32)

    def __enter__(self) -> GainStream:
        return self

    def __exit__(self, *_exception: object) -> None:
        pass

    def push(self, block: np.ndarray) -> dict[str, np.ndarray]:
        self._waiting = np.concatenate([self._waiting, block])
        return self._give(len(self._waiting) // DELAY_SAMPLES * DELAY_SAMPLES)

    def flush(self) -> dict[str, np.ndarray]:
        return self._give(len(self._waiting))

    def _give(self, count: int) -> dict[str, np.ndarray]:
        ready, self._waiting = self._waiting[:count], self._waiting[count:]
        return {stem: ready * factor for stem, factor in self._factors.items()}
