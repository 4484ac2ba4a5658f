"""Songs whose stems are known, and a device that takes blocks when a test says so."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from rtsep.constants import SAMPLE_RATE
from rtsep.nets.registry import find_model
from rtsep.play.player import LEAD_S
from rtsep.play.session import PlaySession
from rtsep.play.song import Song
from rtsep.play.stem_cache import StemCache, StemSettings, content_hash

MODEL = find_model("spleeter:2stems")
STEMS = MODEL.stems
SETTINGS = StemSettings(MODEL.name, "top", "f32")
BLOCK = 256
# One step of 16 bits, where twice full scale fits.
STEP = 2.0 / 32767


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """(samples, 2) float32 noise, quiet enough for two stems."""
    shape = round(seconds * SAMPLE_RATE), 2
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def tone(frequency: float, seconds: float) -> np.ndarray:
    """(samples, 2) float32 sine."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.repeat(0.3 * np.sin(2 * np.pi * frequency * times)[:, None], 2, 1).astype(np.float32)


def cache_in(folder: Path, limit_bytes: int = 10**9) -> StemCache:
    return StemCache(folder / "cache", limit_bytes)


def finished_song(folder: Path, stems: Mapping[str, np.ndarray], name: str = "song") -> Path:
    """A file whose stems are in the cache; they are these, not what nets would make of it."""
    path = folder / f"{name}.wav"
    soundfile.write(path, sum(stems.values()), SAMPLE_RATE, "FLOAT")
    cache = cache_in(folder)
    store = cache.open(content_hash(path), SETTINGS, STEMS)
    store.join(0, np.stack([stems[stem] for stem in STEMS], axis=1))
    store.length = store.done.ranges[0][1]
    cache.close(store)
    return path


class NothingAhead:
    """In place of SeparationAhead, where all stems are done."""

    times_real_time = None

    def set_songs(self, songs):
        self.songs = songs

    def check(self):
        pass


class Deck:
    """A session and its device: blocks are taken by `hear`."""

    def __init__(self, folder, *paths, rate=SAMPLE_RATE, ahead=None, **options):
        self.cache = cache_in(folder)
        self.session = PlaySession(
            paths,
            lambda path: Song(path, self.cache, SETTINGS, STEMS),
            STEMS,
            ahead or NothingAhead(),
            rate,
            **options,
        )
        self.session.start()
        self.player = self.session.deck.player

    def __enter__(self):
        self.session.deck.play()
        self.settle()
        return self

    def __exit__(self, *_exception):
        self.session.close()

    def settle(self) -> None:
        """Until the rendering thread has done what it was told."""
        done = []
        self.player.on_rendering_thread(lambda: done.append(True))
        _wait(lambda: done or self.player.failure)
        self.player.check()

    def fill(self) -> None:
        """Until as much has been rendered ahead as ever is."""
        _wait(partial(self._is_ready, round(LEAD_S * self.player.rate)))

    def hear(self, samples: int) -> np.ndarray:
        """What is heard next, (samples, 2); none is taken before it has been rendered."""
        out = np.zeros((samples, 2), np.float32)
        for at in range(0, samples, BLOCK):
            block = out[at : at + BLOCK]
            _wait(partial(self._is_ready, len(block)))
            self.player.process(block, block)
        self.player.check()
        return out

    def _is_ready(self, count: int) -> bool:
        feed = self.player.feed
        if self.player.failure is not None:
            return True
        return feed is not None and (feed.ring.waiting >= count or feed.rendering.ended)


def _wait(until) -> None:
    ends_s = time.monotonic() + 60
    while not until():
        assert time.monotonic() < ends_s
        time.sleep(0.0005)


def largest_step(sound: np.ndarray) -> float:
    """From one sample to the next."""
    return float(np.abs(np.diff(sound, axis=0)).max())
