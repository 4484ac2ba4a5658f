"""What is heard, laid over references where the program follows clocks: to parts of a sample.

Such a program plays a little faster or slower all the time. Its nets' windows then begin on ever other
samples of the song, so that its masks change, too. Both are followed here:

    the song's place, its speed   from piece to piece; neither can jump
    the windows' phase            from the place; what is heard lies between two of the references

What the two leave is noise. How much, the references tell of themselves (`tolerance`): each against the
mean of its neighbours, which are twice as far from one another as those that are used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

# The interpolation's filter: so many samples, a sinc in a window of Kaiser's.
TAPS, KAISER = 64, 8.0
# Parts of a sample, each of which has its filter, and samples that one is used for.
FILTERS, PART = 2048, 128
# Of the speed: DriftLoop changes it by about CHANGE_OF_SPEED in a piece, and keeps to MOST_SPEED.
CHANGE_OF_SPEED, MOST_SPEED = 1e-4, 0.0125
# What a place that was found may be off by, in samples.
STEP = 0.02
# What a phase that was found may be off by: it is known from single drums alone.
PHASE_STEP = 10.0
# Between neighbours twice as far apart the error is four times as large where masks change evenly with
# the phase; half of it is allowed, for where they do not.
OF_NEIGHBOURS = 0.5
OF_SPREAD = 1.0
# What is left at least, against the sound and a quiet sound: rounding, and the interpolation's filter.
FLOOR_DB = -50.0
# Rounds of fitting at most, and what ends them: so little of what may be left.
ROUNDS, ENOUGH = 4, 0.1


@dataclass
class Course:
    """Where the song is in what is heard, and how fast it goes.

    place: of the next sample, in the song's samples.  speed: the song's samples per sample.
    phase: how many samples before sample 0 of the song a window begins; it is of the same clock as what
        is heard, so that it falls by as much as the song gets ahead.
    place_off, speed_off, phase_off: what these are known to, as standard deviations.
    """

    place: float
    speed: float
    phase: float
    place_off: float
    speed_off: float
    phase_off: float


class Warp:
    """Lays pieces over references.

    sounds: (phases, samples, 2) float32, the song's round as it is heard if the windows begin on sample
        0, and on run / phases samples before, ...  run: samples from one window to the next.
    piece: samples.
    """

    def __init__(self, sounds: NDArray[np.float32], run: float, piece: int):
        self._sounds, self._run = sounds, run
        self._phases, self._length, _ = sounds.shape
        self._count = np.arange(piece, dtype=np.float64)
        self._filters = _filters()
        self._beside = (self._count % PART - PART / 2)[:, None]
        self._piece = piece
        self._allowed, self._of_phases, self.tolerance_db = self._tolerance()

    def _tolerance(self) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """The power that may be left of a piece, by where it begins, and that between two phases.

        And the median of the first against the sound.
        """
        sounds = self._sounds
        off, apart = np.zeros(self._length), np.zeros(self._length)
        if self._phases > 1:
            for number in range(self._phases):
                near = sounds[number - 1] + sounds[(number + 1) % self._phases]
                left = np.square(sounds[number] - 0.5 * near).sum(axis=1)
                off = np.maximum(off, left)
                step = np.square(sounds[number] - sounds[number - 1]).sum(axis=1)
                apart = np.maximum(apart, step)
        power = np.square(sounds[0]).sum(axis=1, dtype=np.float64)
        off_pieces, apart_pieces, sound_pieces = (
            self._of_pieces(each) for each in (off, apart, power)
        )
        floor = 10 ** (FLOOR_DB / 10) * (sound_pieces + self._piece * power.mean())
        allowed = OF_NEIGHBOURS**2 * off_pieces + floor
        told = 10 * np.log10(np.median(allowed / (sound_pieces + 1e-9 * power.sum())))
        return allowed, apart_pieces, float(told)

    def _of_pieces(self, power: NDArray[np.floating]) -> NDArray[np.float64]:
        """The sum over a piece, by where it begins."""
        whole = np.concatenate([[0.0], power, power[: self._piece]]).cumsum()
        sums: NDArray[np.float64] = whole[self._piece :][: self._length] - whole[: self._length]
        return sums

    def allowed(self, place: float, spread: float = 0.0) -> float:
        """The power that may be left of a piece that begins there.

        spread: by how many samples the phase has changed while the nets heard what they know of: there
            are references for none that changes, as after the start, and after a gap. What phases so
            far apart differ by is allowed.
        """
        at = round(place) % self._length
        phases = spread / (self._run / self._phases)
        return float(self._allowed[at] + OF_SPREAD**2 * phases**2 * self._of_phases[at])

    def lay(self, piece: NDArray[np.float32], course: Course) -> tuple[Course, float]:
        """Fit the course to a piece; returns the one at the next piece, and the power that is left.

        piece: (samples, 2) float32.  course: as it is expected to be.
        """
        allowed = self.allowed(course.place)
        noise = max(allowed, 1e-12) / piece.size
        length = self._piece
        # Place at the beginning, speed, phase, and how much further the song is at the end.
        expected = np.array([course.place, course.speed, course.phase, 0.0])
        scale = np.array([1.0, 1.0 / length, 1.0, 1.0])
        off = np.array([course.place_off, course.speed_off * length, course.phase_off,
                        CHANGE_OF_SPEED * length / 2])  # fmt: skip
        stiffness = np.diag(off**-2.0)
        now, best = expected.copy(), np.inf
        kept, information = now, stiffness
        for _ in range(ROUNDS):
            sound, changes = self._sound(now)
            left = (piece - sound).reshape(-1)
            power = float(left @ left)
            if power >= best:
                break
            kept, best = now.copy(), power
            information = changes @ changes.T / noise + stiffness
            pull = changes @ left / noise - (now - expected) / scale / off**2
            now = now + scale * np.linalg.solve(information, pull)
            now[1] = min(max(now[1], 1 - MOST_SPEED), 1 + MOST_SPEED)
            if best <= ENOUGH * allowed:
                kept = now
                break
        known = np.sqrt(np.diag(np.linalg.inv(information)))
        place, speed, phase, further = kept
        return (
            Course(
                place + length * speed + further, speed + 2 * further / length,
                phase - (length * (speed - 1) + further),
                float(np.hypot(known[0], STEP)),
                float(np.hypot(known[1] / length, CHANGE_OF_SPEED)),
                float(np.hypot(known[2], PHASE_STEP)),
            ),
            best,
        )  # fmt: skip

    def sound(self, course: Course) -> NDArray[np.float64]:
        """What a piece must be there, (samples, 2)."""
        return self._sound(np.array([course.place, course.speed, course.phase, 0.0]))[0]

    def _sound(
        self, course: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """That, and how it changes with place, speed, phase and what is further at the end."""
        place, speed, phase, further = course
        within = phase / self._run * self._phases
        number = int(np.floor(within))
        share = within - number
        here, there = (self._sounds[(number + k) % self._phases] for k in (0, 1))
        begin = int(np.floor(place)) - TAPS
        count = self._piece + 2 * TAPS + int(MOST_SPEED * self._piece)
        at = np.arange(begin, begin + count) % self._length
        near = np.concatenate([here[at], there[at]], axis=1).T.astype(np.float64)
        windows = sliding_window_view(near, TAPS, axis=1)
        both_and_slopes = np.empty((4, self._piece, 2))
        for first in range(0, self._piece, PART):
            # One filter for a part, whose middle is in its place; what lies beside it follows below.
            middle = place + speed * (first + PART / 2) - begin
            whole = int(np.floor(middle))
            from_ = whole - PART // 2 - TAPS // 2 + 1
            both_and_slopes[:, first : first + PART] = (
                windows[:, from_ : from_ + PART] @ self._filters[int((middle - whole) * FILTERS)]
            )
        both, slopes = both_and_slopes[..., 0].T, both_and_slopes[..., 1].T
        later = (self._count / self._piece)[:, None]
        both = both + ((speed - 1) * self._beside + further * np.square(later)) * slopes
        change = both[:, 2:] - both[:, :2]
        sound = both[:, :2] + share * change
        slope = slopes[:, :2] + share * (slopes[:, 2:] - slopes[:, :2])
        changes = np.stack(
            [slope, slope * later, change / self._run * self._phases, slope * np.square(later)]
        )
        return sound, changes.reshape(4, -1)


def _filters() -> NDArray[np.float64]:
    """(FILTERS, TAPS, 2): row n gives what lies n / FILTERS behind a sample, and its slope."""
    x = np.arange(FILTERS)[:, np.newaxis] / FILTERS - (np.arange(TAPS) - (TAPS // 2 - 1))
    shape = np.sqrt(np.maximum(0.0, 1 - np.square(x / (TAPS / 2))))
    weights = np.sinc(x) * np.i0(KAISER * shape) / np.i0(KAISER)
    return np.stack([weights, np.gradient(weights, 1 / FILTERS, axis=0)], axis=-1)
