"""What is heard beside what the song must sound like, piece by piece, while it plays.

Nothing is kept but the last second and a list of the gaps.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtsep_bench.soak_judges import PIECE, TOLD_BY, ExactJudge, Judge, WarpedJudge
from rtsep_bench.soak_song import References

# Where the song is, is looked for in so many pieces, and so often while it is not found at all.
LOOKED_AT, LOOKED_EVERY = 64, 16
# Once it was found it is looked for as often as this: seldom enough to be done before the next time, and
# a gap may be told to last by as much longer.
LOOKED_AGAIN = 16
SILENT = 1e-4
MOST_KEPT = 500
# Of a piece that is wrong: what is left beside two sounds, at most, for it to be called after them.
MOST_LEFT = 0.03
# A share of a sound that is none, and one that is all of it.
NOTHING, WHOLE = 0.1, 0.9
# What is heard in a gap.
SILENCE, DRY, FADED, OTHER = "silence", "the input, unfiltered", "at another level", "other masks"
# And of a single block among others: the graph gave the last one again, or none.
AGAIN, MISSING = "a block twice", "a block of silence"


@dataclass
class Gap:
    """Pieces in a row that are wrong.

    begun_s, ended_s: when the first and the last came in, on the monotonic clock.
    pieces, silent: how many are wrong, and how many of them silent.
    heard: what they are, of SILENCE, DRY, FADED and OTHER, the first that has a name; or AGAIN or
        MISSING, where a block of theirs is.
    moved_samples: by how much later the song is after it than before: more than 0 where some was heard
        twice or the program stood still, less where some was left out.
    """

    begun_s: float
    ended_s: float
    pieces: int = 0
    silent: int = 0
    heard: str = SILENCE
    moved_samples: float = 0.0


@dataclass
class SongCheck:
    """Takes what is heard; says what was wrong. One user.

    Attributes
    ----------
    right, wrong : int
        Pieces of PIECE samples, since the song was found first.
    found_s : float or None
        When that was, on the monotonic clock.
    gaps : list of Gap
        The first MOST_KEPT.  more_gaps: how many there were besides.
    jumps_s : list of float
        When samples were missing in what came in: the listener's own gaps.
    first_delay, most_moved : float
        By how many samples the sound was behind the song at first; the farthest that it was from that
        since.
    """

    references: References
    right: int = 0
    wrong: int = 0
    found_s: float | None = None
    gaps: list[Gap] = field(default_factory=list)
    more_gaps: int = 0
    jumps_s: list[float] = field(default_factory=list)
    first_delay: float = 0.0
    most_moved: float = 0.0

    def __post_init__(self) -> None:
        self.judge: Judge = (
            ExactJudge(self.references) if self.references.exact else WarpedJudge(self.references)
        )
        self._next: int | None = None
        self._begun = np.zeros((0, 2), np.float32)
        # The last block, and what is wrong with any of the piece that has begun: "", AGAIN or MISSING.
        self._block = np.zeros((0, 2), np.float32)
        self._torn = ""
        # The last pieces with their places, from which the song is looked for.
        self._last: deque[tuple[int, NDArray[np.float32]]] = deque(maxlen=LOOKED_AT)
        self._to_look = LOOKED_AT
        self._gap: Gap | None = None
        self._before = 0.0  # the delay before the gap

    @property
    def checked(self) -> int:
        """Pieces looked at since the song was found."""
        return self.right + self.wrong

    @property
    def delay(self) -> float:
        """By how many samples the sound is behind the song now."""
        return self.judge.delay

    def add(self, at: int, came_s: float, block: NDArray[np.float32]) -> None:
        """Take what came in at sample `at` of the song's clock: (samples, 2) float32."""
        if self._next is not None and at != self._next:
            if len(self.jumps_s) < MOST_KEPT:
                self.jumps_s.append(came_s)
            self._begun = self._begun[:0]
            self._last.clear()
        self._next = at + len(block)
        if self._block.any() and not block.any():
            self._torn = MISSING
        elif block.any() and np.array_equal(block, self._block):
            self._torn = AGAIN
        self._block = block.copy()
        whole = np.concatenate([self._begun, block])
        first = self._next - len(whole)
        while len(whole) >= PIECE:
            self._piece(first, came_s, whole[:PIECE])
            self._torn = ""
            whole, first = whole[PIECE:], first + PIECE
        self._begun = whole.copy()

    def _piece(self, at: int, came_s: float, piece: NDArray[np.float32]) -> None:
        self._last.append((at, piece.copy()))
        if self.found_s is None:
            if self._is_time(LOOKED_EVERY) and self._look(None):
                self.found_s, self.first_delay = came_s, self.delay
            return
        if self.judge.is_right(at, piece):
            self.right += 1
            self._end_gap()
            self._note_delay()
            return
        self.wrong += 1
        self._note(at, came_s, piece)
        if self.judge.lost and self._is_time(LOOKED_AGAIN) and self._look(self.first_delay):
            # The newest pieces are right where the song is now.
            assert self._gap is not None
            right = min(TOLD_BY, self._gap.pieces - 1)
            self._gap.pieces -= right
            self.right, self.wrong = self.right + right, self.wrong - right
            self._end_gap()
            self._note_delay()

    def _is_time(self, every: int) -> bool:
        self._to_look -= 1
        if self._to_look > 0:
            return False
        self._to_look = every
        return True

    def _look(self, near: float | None) -> bool:
        """Look for the newest pieces in the whole song; False where the last one is not in it."""
        return len(self._last) >= LOOKED_AT // 2 and self.judge.look(self._last, near)

    def _note_delay(self) -> None:
        self.most_moved = max(self.most_moved, self.delay - self.first_delay, key=abs)

    # --- gaps -----------------------------------------------------------------------------------

    def _note(self, at: int, came_s: float, piece: NDArray[np.float32]) -> None:
        if self._gap is None:
            self._gap, self._before = Gap(came_s, came_s), self.delay
            self._to_look = LOOKED_AGAIN
            if len(self.gaps) < MOST_KEPT:
                self.gaps.append(self._gap)
            else:
                self.more_gaps += 1
        gap = self._gap
        gap.ended_s = came_s
        gap.pieces += 1
        if np.abs(piece).max() < SILENT:
            gap.silent += 1
        elif self._torn:
            gap.heard = self._torn
        elif gap.heard in (SILENCE, OTHER):
            gap.heard = self._named(at, piece)

    def _named(self, at: int, piece: NDArray[np.float32]) -> str:
        """What a piece is that is not as it must be."""
        right, dry, left = self.judge.parts(at, piece)
        if left > MOST_LEFT:
            return OTHER
        if abs(dry) > NOTHING:
            return DRY
        return OTHER if right > WHOLE else FADED

    def _end_gap(self) -> None:
        if self._gap is not None:
            self._gap.moved_samples = self.delay - self._before
            self._gap = None
