"""The thread that makes stems ahead of the sound: first what is about to be heard, then all the rest.

It looks for the next piece (pieces.py) before each, so a seek or a new loop counts from the next piece
on. The networks are loaded when there is something to separate: a song whose stems are all done plays
without them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from rtsep.constants import HOP, SAMPLE_RATE
from rtsep.errors import RtsepError
from rtsep.nets.registry import ModelConfig
from rtsep.play.piece_maker import MakesPieces, PieceOrder
from rtsep.play.pieces import Piece, choose_frames, next_gap, piece_at, window_sizes
from rtsep.play.song import Song
from rtsep.play.stem_store import JOIN_SAMPLES
from rtsep.system.scheduling import is_real_time, set_ordinary

# Between two looks at whether there is something to do.
_LOOK_S = 0.02


class SeparationAhead:
    """Separates songs piece by piece, on a thread of its own.

    Parameters
    ----------
    model : ModelConfig
    maker : MakesPieces
        Used by the thread alone; closed with it.

    Attributes
    ----------
    failure : RtsepError or None
        Why it has ended. Writer: its thread.
    times_real_time : float or None
        How many times faster than it plays a song is separated, of late.
    """

    def __init__(self, model: ModelConfig, maker: MakesPieces):
        self._maker, self._sizes = maker, window_sizes(model)
        self.failure: RtsepError | None = None
        # In order of urgency. Writer: the main thread; reader: this one.
        self._songs: tuple[Song, ...] = ()
        # The song that a piece is made of now, so that it is not closed meanwhile. Writer: this thread;
        # reader: the main thread. `_turn` is held while one of the two changes, and not in between.
        self._at_work_on: Song | None = None
        self._turn = threading.Condition()
        self._stop = threading.Event()
        self._is_first = True
        self._s_per_frame: float | None = None
        self._thread = threading.Thread(target=self._run, name="rtsep separating", daemon=True)

    @property
    def times_real_time(self) -> float | None:
        """See the class."""
        cost_s = self._s_per_frame
        return None if not cost_s else HOP / SAMPLE_RATE / cost_s

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def set_songs(self, songs: Sequence[Song]) -> None:
        """Work on these, the most urgent first; the others can be closed afterwards."""
        with self._turn:
            self._songs = tuple(songs)
            self._turn.wait_for(lambda: self._at_work_on in (None, *songs))

    def check(self) -> None:
        """Raise RtsepError where the thread has failed."""
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """End the thread; a piece in the making is finished."""
        self._stop.set()
        self._songs = ()
        if self._thread.is_alive():
            self._thread.join()
        self._maker.close()

    def _run(self) -> None:
        if is_real_time():
            set_ordinary()
        try:
            while not self._stop.is_set():
                if not any(self._work_on(song) for song in self._songs):
                    self._stop.wait(_LOOK_S)
        except RtsepError as error:
            self.failure = error
        except OSError as error:
            self.failure = RtsepError(f"cannot keep stems: {error.strerror}: make room on the disk")
        except Exception as error:  # a defect: the main thread shall say so
            self.failure = RtsepError(f"separating failed: {error!r}")

    def _work_on(self, song: Song) -> bool:
        """Make one piece of a song, if it is still among those to work on; False if nothing was done."""
        with self._turn:
            if song not in self._songs:
                return False
            self._at_work_on = song
        try:
            return self._advance(song)
        finally:
            with self._turn:
                self._at_work_on = None
                self._turn.notify()

    def _advance(self, song: Song) -> bool:
        """Make one piece of a song; False where nothing can be done for it now."""
        decoded, store = song.decoded, song.store
        if decoded is None or decoded.failure is not None or store.is_complete:
            return False
        if store.length is None and decoded.length is not None:
            store.length = decoded.length
            store.write_index()
        head, loop, length = song.head, song.loop, max(song.length, 1)
        gap = next_gap(store.done, head, length, loop)
        if gap is None:
            return False
        ahead = gap[0] - head if gap[0] >= head else SAMPLE_RATE * 3600
        frames = choose_frames(self._sizes, gap, ahead / SAMPLE_RATE, self._s_per_frame)
        piece = piece_at(gap[0], frames, length)
        if not decoded.wait(piece.window_begin + piece.samples_in, _LOOK_S):
            return True  # by then something else may be wanted
        if store.length is None and decoded.length is not None:
            return True  # the song's end is known by now
        self._separate(song, piece_at(gap[0], frames, max(song.length, 1)))
        if store.is_complete:
            store.write_index()
        return True

    def _separate(self, song: Song, piece: Piece) -> None:
        assert song.decoded is not None
        begun_s: float | None = time.perf_counter()
        store = song.store
        gap = store.done.first_gap(piece.begin, piece.end)
        if gap is None:
            return
        # What is done already is faded from and to.
        begin = piece.begin - _known(store.done.contains, piece.window_begin, piece.begin)
        end = min(gap[1] + JOIN_SAMPLES, piece.end)
        if self._is_first:
            begun_s, self._is_first = None, False  # loading the nets is no part of a piece's time
        self._maker.make(
            PieceOrder(
                decoded=str(song.decoded.sound_path), store=str(store.sound_path),
                frames=piece.frames, window_begin=piece.window_begin,
                samples_in=piece.samples_in, begin=begin, end=end, gap=gap,
            )
        )  # fmt: skip
        store.done.add(begin, end)
        if begun_s is None:
            return
        cost_s = (time.perf_counter() - begun_s) / piece.frames
        before_s = self._s_per_frame
        self._s_per_frame = cost_s if before_s is None else 0.5 * (before_s + cost_s)


def _known(contains: Callable[[int, int], bool], least: int, position: int) -> int:
    """How many samples before `position` are done and in the window, JOIN_SAMPLES at most."""
    count = min(JOIN_SAMPLES, position - least)
    return count if count > 0 and contains(position - count, position) else 0
