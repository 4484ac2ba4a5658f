"""One song that is open: its stems as far as they are done, and what is decoded for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.errors import RtsepError
from rtsep.play.decoded_song import DecodedSong
from rtsep.play.stem_cache import StemCache, StemSettings, content_hash
from rtsep.play.stem_store import StemStore
from rtsep.play.transport import Loop


class Song:
    """A song and its stems.

    Parameters
    ----------
    path : Path
    cache : StemCache
        Where its stems are or come.
    settings : StemSettings
    stems : sequence of str

    Attributes
    ----------
    content : str
        What it is known by, see content_hash.
    store : StemStore
    decoded : DecodedSong or None
        None where all stems are done.
    head : int
        The next sample to be heard. Writer: the thread that renders; reader: the one that separates.
    loop : Loop or None
        Likewise.

    Raises
    ------
    AudioFileError
        Where it cannot be read or has no sound.
    """

    def __init__(self, path: Path, cache: StemCache, settings: StemSettings, stems: Sequence[str]):
        self.path, self._cache = path, cache
        self._stems_add_up = settings.mask_extension != "zeros"
        self.content = content_hash(path)
        self.store: StemStore = cache.open(self.content, settings, stems)
        self.decoded: DecodedSong | None = None
        self.head, self._told = 0, False
        self.loop: Loop | None = None
        if self.store.is_complete:
            return
        try:
            self.decoded = DecodedSong(path, self.store.folder)
        except OSError as error:
            cache.close(self.store)
            raise RtsepError(f"cannot decode {path}: {error.strerror}: make room") from error
        except BaseException:
            self.store.keep = False
            cache.close(self.store)
            raise

    @property
    def title(self) -> str:
        """What to call it."""
        return self.path.name

    @property
    def length(self) -> int:
        """Samples of the song; an estimate, which may be too short, until it has been decoded."""
        if self.store.length is not None:
            return self.store.length
        if self.decoded is None:
            return 0
        return max(self.decoded.samples, self.decoded.length_estimate or 0)

    @property
    def duration_s(self) -> float:
        """The length in seconds."""
        return self.length / SAMPLE_RATE

    def has_recording(self, end: int) -> bool:
        """Whether the recording up to sample `end` can be read in place of its stems."""
        decoded = self.decoded
        if decoded is None or not self._stems_add_up:
            return False
        return end <= decoded.samples or decoded.length is not None

    def recording(self, begin: int, count: int) -> NDArray[np.float32]:
        """Samples of the recording, (samples, 2) float32; zeros where it has none."""
        assert self.decoded is not None
        return self.decoded.read(begin, count)

    def done_s(self) -> list[list[float]]:
        """The parts whose stems are done: beginning and end of each, in seconds."""
        return [
            [round(begin / SAMPLE_RATE, 3), round(end / SAMPLE_RATE, 3)]
            for begin, end in self.store.done.ranges
        ]

    def check(self) -> None:
        """Raise RtsepError where it cannot be decoded."""
        if self.decoded is not None and self.decoded.failure is not None:
            raise self.decoded.failure

    def take_remarks(self) -> list[str]:
        """What was found wrong with the file, a line each: once, when all of it has been decoded."""
        if self._told or self.decoded is None or self.decoded.length is None:
            return []
        self._told = True
        return [
            f"{'warning' if remark.damage else 'note'}: {self.path} {remark}"
            for remark in self.decoded.remarks
        ]

    def close(self) -> None:
        """Keep what is done, and close it. The thread that separates must have left it."""
        if self.decoded is not None:
            self.decoded.close()
        self._cache.close(self.store)
