"""Whether a piece of what is heard is right, and where the song is in it: to the sample, or nearly.

ExactJudge   every sample is that of a reference, as in a graph
WarpedJudge  the program follows clocks, see soak_warp.py
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep_bench.soak_song import References
from rtsep_bench.soak_warp import CHANGE_OF_SPEED, MOST_SPEED, Course, Warp

PIECE = 1024
# Of a reference that is exact: what float32 may differ by from one way of adding up to another.
MOST_OFF = 1e-5
# A place that is farther from where the last right piece left it, per piece since then, has jumped.
MOST_STEP = 0.25
# So many of the newest pieces tell whether the song was found.
TOLD_BY = 4
# Those from which the place is found where the song may have another speed.
LOOKED_AT_WARPED = 16
# Of a wrong piece: what is left beside what it must be, at most, for the song to be still there.
STILL_THERE = 0.01
# Of many pieces: what is left beside the song of a phase, at most, where it is worth a closer look. The
# speed may be another one, so that the first and the last of them are somewhere else.
MOST_UNLIKE = 0.1
# Every so often all phases are looked through, else that one which follows if the windows went on.
ALL_PHASES_EVERY = 4
# Speed and phase as they are known to where the song has just been found.
FOUND_OFF, FOUND_SPEED_OFF = 0.5, 1e-3

Pieces = Sequence[tuple[int, NDArray[np.float32]]]


class Judge(Protocol):
    """Judges pieces; one user.

    delay: by how many samples the sound is behind the song, as of the last piece that was right.
    lost: whether the song is no longer where it was expected: else a wrong piece has other masks alone.
    """

    delay: float
    lost: bool

    def is_right(self, at: int, piece: NDArray[np.float32]) -> bool:
        """Whether the piece that came in at sample `at` is as it must be where the song is now."""

    def look(self, last: Pieces, near: float | None) -> bool:
        """Find the song in the newest pieces anew, in the round nearest to the delay `near`."""

    def parts(self, at: int, piece: NDArray[np.float32]) -> tuple[float, float, float]:
        """How much of the right sound, and how much of the song itself, a piece is; and what is left.

        The last as a part of the piece's power.
        """


class ExactJudge:
    """See Judge."""

    def __init__(self, references: References):
        self._sounds, self._song = references.sounds, references.song
        self._length = len(self._song)
        self._phase, self.delay = 0, 0.0
        self.lost = True  # a wrong piece may be another one
        self._spectra = [np.fft.rfft(sound.sum(axis=1)) for sound in self._sounds]

    def is_right(self, at: int, piece: NDArray[np.float32]) -> bool:
        """In the phase of now or, after a gap, another one."""
        places = np.arange(at, at + len(piece)) - round(self.delay)
        phases = range(len(self._sounds))
        for phase in (self._phase, *(other for other in phases if other != self._phase)):
            if np.abs(piece - self._sounds[phase][places % self._length]).max() <= MOST_OFF:
                self._phase = phase
                return True
        return False

    def look(self, last: Pieces, near: float | None) -> bool:
        """By phases alone, so that tones, which fit at every period, count no more than noise."""
        before, at = self.delay, last[0][0]
        heard = np.concatenate([piece for _, piece in last]).sum(axis=1)[: self._length]
        if not heard.any():
            return False
        spectrum = np.fft.rfft(heard, self._length)
        for whole in self._spectra:
            product = spectrum * np.conj(whole)
            power = np.abs(product)
            fits = np.fft.irfft(product / (power + 1e-3 * power.mean()), self._length)
            self.delay = nearest_round(at + int(np.argmax(fits)), near, self._length)
            if all(self.is_right(*each) for each in list(last)[-TOLD_BY:]):
                return True
        self.delay = before
        return False

    def parts(self, at: int, piece: NDArray[np.float32]) -> tuple[float, float, float]:
        """See Judge."""
        places = (np.arange(at, at + len(piece)) - round(self.delay)) % self._length
        return shares(piece, self._sounds[self._phase][places], self._song[places])


class WarpedJudge:
    """See Judge."""

    def __init__(self, references: References):
        self._warp = Warp(references.sounds, references.run, PIECE)
        self._dry = Warp(references.song[np.newaxis], references.run, PIECE)
        self._length, self._run = len(references.song), references.run
        self._phases = len(references.sounds)
        self.tolerance_db = self._warp.tolerance_db
        self._course: Course | None = None
        self._due = 0  # the sample at which `_course` holds
        self._wrong = 0  # pieces since the last right one
        self._spectra = np.fft.rfft(references.sounds[0], axis=0)
        self._power = np.fft.rfft(np.square(references.sounds[0]).sum(axis=1))
        self.delay = 0.0
        self.lost = True
        self._looks = 0
        # The delay at the newest right pieces, for as long as the nets know of.
        pieces = int(references.settles_s * references.rate / PIECE)
        self._delays: deque[float] = deque(maxlen=max(1, pieces))

    def is_right(self, at: int, piece: NDArray[np.float32]) -> bool:
        """Whether it fits where the song must be by now; place and speed are followed where it does."""
        if self._course is None:
            return False
        expected = self._expected(at)
        course, left = self._warp.lay(piece, expected)
        moved = course.place - (expected.place + PIECE * expected.speed)
        allowed = self._warp.allowed(expected.place, max(self._delays) - min(self._delays))
        stayed = abs(moved) <= MOST_STEP * (1 + self._wrong)
        if left <= allowed and stayed:
            self._follow(at, course)
            return True
        self._wrong += 1
        power = float(np.square(piece, dtype=np.float64).sum())
        self.lost = not stayed or left > max(allowed, STILL_THERE * power)
        if not self.lost:
            self._delays.append(at - expected.place)
        return False

    def look(self, last: Pieces, near: float | None) -> bool:
        """Where the newest pieces differ least from the song; in any phase."""
        newest = list(last)[-LOOKED_AT_WARPED:]
        if len(newest) < LOOKED_AT_WARPED:
            return False
        at = newest[0][0]
        heard = np.concatenate([piece for _, piece in newest])
        if not heard.any():
            return False
        ones = np.zeros(self._length)
        ones[: len(heard)] = 1.0
        spectrum = np.fft.rfft(heard, self._length, axis=0)
        alike = np.fft.irfft((spectrum * np.conj(self._spectra)).sum(axis=1), self._length)
        power = np.fft.irfft(np.fft.rfft(ones) * np.conj(self._power), self._length)
        off = power - 2 * alike
        lag = int(np.argmin(off))
        own = float(np.square(heard, dtype=np.float64).sum())
        if off[lag] + own > MOST_UNLIKE * own:
            return False
        delay = nearest_round(at + lag, near, self._length)
        before = self._course, self._due, self._wrong, self.delay
        first, piece = newest[-TOLD_BY]
        course = self._laid(first, first - delay, piece)
        if course is not None:
            self._follow(first, course)
            if all(self.is_right(*each) for each in newest[1 - TOLD_BY :]):
                return True
        self._course, self._due, self._wrong, self.delay = before
        self.lost = True
        return False

    def parts(self, at: int, piece: NDArray[np.float32]) -> tuple[float, float, float]:
        """See Judge."""
        expected = self._expected(at)
        return shares(piece, self._warp.sound(expected), self._dry.sound(expected))

    def _laid(self, at: int, place: float, piece: NDArray[np.float32]) -> Course | None:
        """The course behind a piece that begins near `place`; None where it fits in no phase."""
        spacing = self._run / self._phases
        guesses: list[tuple[float, float]] = []
        if self._course is not None:
            expected = self._expected(at)
            guesses.append((expected.phase - (place - expected.place), expected.phase_off + 1.0))
        if self._looks % ALL_PHASES_EVERY == 0:
            guesses += [(number * spacing, spacing) for number in range(self._phases)]
        self._looks += 1
        best, least = None, self._warp.allowed(place)
        for phase, phase_off in guesses:
            # The song may lie between two samples, and be faster.
            for beside in (-0.5, 0.5):
                guess = Course(place + beside, 1.0, phase, FOUND_OFF, FOUND_SPEED_OFF, phase_off)
                course, left = self._warp.lay(piece, guess)
                if left <= least:
                    best, least = course, left
        return best

    def _expected(self, at: int) -> Course:
        """The course at a sample, at the speed of before."""
        assert self._course is not None
        course, later = self._course, at - self._due
        pieces = later / PIECE
        return Course(
            course.place + later * course.speed, course.speed,
            course.phase - later * (course.speed - 1),
            course.place_off + abs(later) * course.speed_off,
            min(course.speed_off + abs(pieces) * CHANGE_OF_SPEED, MOST_SPEED), course.phase_off,
        )  # fmt: skip

    def _follow(self, at: int, course: Course) -> None:
        self._course, self._due, self._wrong, self.lost = course, at + PIECE, 0, False
        self.delay = at + PIECE - course.place
        # A jump is another matter than a speed: the nets hear a click, and forget it.
        if self._delays and abs(self.delay - self._delays[-1]) > MOST_SPEED * PIECE:
            self._delays.clear()
        self._delays.append(self.delay)


def nearest_round(delay: float, near: float | None, length: int) -> float:
    """The same place in the song, in the round that is nearest to the delay `near`, or in the first."""
    if near is None:
        return float(delay % length)
    half = length / 2
    return near + (delay - near + half) % length - half


def shares(
    piece: NDArray[np.float32], right: NDArray[np.floating], dry: NDArray[np.floating]
) -> tuple[float, float, float]:
    """How much of two sounds a piece is, all (samples, 2), and the part of it that is neither."""
    both = np.stack([right.reshape(-1), dry.reshape(-1)], axis=1).astype(np.float64)
    heard = piece.reshape(-1).astype(np.float64)
    # Two sounds that are nearly one cannot be told apart: the least of each is taken.
    found, *_ = np.linalg.lstsq(both, heard, rcond=1e-3)
    left = heard - both @ found
    return float(found[0]), float(found[1]), float(left @ left) / max(float(heard @ heard), 1e-20)
