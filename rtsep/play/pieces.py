"""Which piece of a song is separated next, and of what it is made.

    |- context -|---------- kept ----------|- context -|      a window of the nets

A piece is what one window of the nets gives: T frames, without those near its edges, which know
nothing of what lies beyond. So the masks are at least as good as those of rtsep-separate, whose windows
meet edge to edge. Pieces follow one another in any order: short ones where the sound is waited for,
long ones, which cost least, everywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtsep.constants import FRAME_LENGTH, HOP
from rtsep.errors import UsageError
from rtsep.nets.kinds import check_window, kind_of
from rtsep.nets.registry import ModelConfig
from rtsep.play.done_ranges import DoneRanges, Range
from rtsep.play.transport import Loop

# Windows that Spleeter's nets take; of other kinds' those that they take, too.
WINDOW_FRAMES = (64, 128, 256, 512)
# Frames at each edge of a window that are left out: an eighth of it, at most 0.7 s.
CONTEXT_PART, MOST_CONTEXT_FRAMES = 8, 32
# A piece may take this part of the time for which the sound goes on without it.
MOST_OF_TIME_LEFT = 0.5


@dataclass(frozen=True)
class Piece:
    """A window of `frames` frames whose first sample is `window_begin`; [begin, end) of it is kept."""

    frames: int
    window_begin: int
    begin: int
    end: int

    @property
    def samples_in(self) -> int:
        """Samples that fill the window."""
        return (self.frames - 1) * HOP

    @property
    def samples_out(self) -> int:
        """Samples that come out of it, from `window_begin` on."""
        return self.frames * HOP - FRAME_LENGTH


def piece_at(begin: int, frames: int, length: int) -> Piece:
    """The piece that begins at sample `begin` of a song of `length` samples."""
    context = min(frames // CONTEXT_PART, MOST_CONTEXT_FRAMES) * HOP
    window_begin = max(0, begin - context)
    end = window_begin + frames * HOP - FRAME_LENGTH - context
    return Piece(frames, window_begin, begin, min(end, length))


def next_gap(done: DoneRanges, head: int, length: int, loop: Loop | None) -> Range | None:
    """The samples that are wanted first of those not done: what is about to be heard, then the rest."""
    wanted: list[Range] = []
    if loop is not None and head < loop.end:
        end = min(loop.end, length)
        wanted += [(head, end), (min(loop.begin, end), min(head, end))]
    wanted += [(head, length), (0, head)]
    gaps = (done.first_gap(begin, end) for begin, end in wanted if begin < end)
    return next((gap for gap in gaps if gap is not None), None)


def window_sizes(model: ModelConfig) -> list[int]:
    """Frames of the windows that a model's nets take, ascending."""
    return [size for size in sorted({*WINDOW_FRAMES, kind_of(model).frames}) if _takes(model, size)]


def _takes(model: ModelConfig, frames: int) -> bool:
    try:
        check_window(model, frames)
    except UsageError:
        return False
    return True


def choose_frames(
    sizes: Sequence[int], gap: Range, time_left_s: float, s_per_frame: float | None
) -> int:
    """How long the next window is.

    Parameters
    ----------
    sizes : sequence of int
        The frames of windows that the nets take, ascending.
    gap : (int, int)
        What is to be filled.
    time_left_s : float
        How long the sound goes on without it.
    s_per_frame : float, optional
        What a frame has cost so far; None at first, when the shortest window is taken.
    """
    if s_per_frame is None:
        return sizes[0]
    fitting = [s for s in sizes if s * s_per_frame <= MOST_OF_TIME_LEFT * time_left_s]
    longest = fitting[-1] if fitting else sizes[0]
    # No longer than fills the gap.
    for frames in sizes:
        if frames >= longest or piece_at(gap[0], frames, gap[1]).end >= gap[1]:
            return frames
    return longest
