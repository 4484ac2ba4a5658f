"""What is heard at a monitor: impulses, and how loud it is, from blocks as they come in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# The program's gain: what it has filtered is told by its level from what passes it by.
GAIN_DB = -6.0
IMPULSE_LEVEL = 0.7
IMPULSE_HEARD = 0.15
TONE_LEVEL, TONE_HZ = 0.4, 1000.0
TONE_RMS = TONE_LEVEL / 2**0.5
SILENT = 0.02
# Sound is filtered once it has been at the filtered level for so long.
SETTLED_S = 0.05
# Impulses are further apart than any two sounds of one of them.
APART_S = 0.25


class Level(NamedTuple):
    """How loud a block was: when it came in on the monotonic clock, its length, its root mean square."""

    came_s: float
    lasts_s: float
    rms: float


@dataclass
class Heard:
    """Impulses and levels of one channel. One writer, `add`; others copy what they read.

    rate: samples per second.
    impulses_s: when impulses were heard, in seconds of the clock that `add` is given.
    levels: of each block.
    """

    rate: int
    impulses_s: list[float] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)

    def add(self, first_s: float, came_s: float, block: NDArray[np.float32]) -> None:
        """Note a block, (samples,) float32, whose first sample is at `first_s`."""
        rms = float(np.sqrt(np.mean(np.square(block))))
        self.levels.append(Level(came_s, len(block) / self.rate, rms))
        loudest = int(np.argmax(np.abs(block)))
        if abs(block[loudest]) < IMPULSE_HEARD:
            return
        at_s = first_s + loudest / self.rate
        if not self.impulses_s or at_s - self.impulses_s[-1] > APART_S:
            self.impulses_s.append(at_s)


def first_filtered_s(levels: Iterable[Level]) -> float | None:
    """When the tone was first heard at the filtered level and stayed there; None where it was not."""
    filtered = TONE_RMS * 10 ** (GAIN_DB / 20)
    since_s = None
    for level in levels:
        if not 0.75 * filtered < level.rms < 1.25 * filtered:
            since_s = None
        elif since_s is None:
            since_s = level.came_s
        elif level.came_s - since_s >= SETTLED_S:
            return since_s
    return None


def longest_silence_s(levels: Iterable[Level]) -> float:
    """The longest time without sound between two sounds, in seconds of the stream."""
    longest_s, silent_s = 0.0, -np.inf
    for level in levels:
        if level.rms > SILENT:
            longest_s, silent_s = max(longest_s, silent_s), 0.0
        else:
            silent_s += level.lasts_s
    return longest_s


def delays_s(
    sent_s: Sequence[float], heard_s: Sequence[float], early_s: float = 0.0
) -> tuple[list[float], int]:
    """How long impulses took that were sent one after the other; and how many were not heard.

    An impulse is the first that is heard from `early_s` before it was sent until the next one is sent:
    each is sent only after the one before was heard or given up.
    """
    took_s, lost = [], 0
    for number, at_s in enumerate(sent_s):
        until_s = sent_s[number + 1] - early_s if number + 1 < len(sent_s) else float("inf")
        heard = next((time_s for time_s in heard_s if at_s - early_s <= time_s < until_s), None)
        if heard is None:
            lost += 1
        else:
            took_s.append(heard - at_s)
    return took_s, lost


def tone(rate: int, first: int, count: int) -> NDArray[np.float32]:
    """Samples `first` to `first + count` of the steady tone, (count,) float32."""
    angles = 2 * np.pi * TONE_HZ * np.arange(first, first + count) / rate
    return (TONE_LEVEL * np.sin(angles)).astype(np.float32)
