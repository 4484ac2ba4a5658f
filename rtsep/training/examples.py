"""Examples to train on, mixed while training: windows of songs, augmented as the recipe says.

Example n of step s is a function of the recipe's seed, s and n alone. A training that is resumed hears
what it would have heard, whoever prepares the examples in whatever order.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.training.recipe import Recipe
from rtsep.training.song_cache import Song, read

# Batches that are prepared ahead.
AHEAD = 3
# A song's first and last moments, often silent, begin no window, as in Spleeter's training.
MARGIN_SAMPLES = SAMPLE_RATE // 2
# Where an equaliser's gains are chosen; a bass drum and a bass are told apart in the first two.
OCTAVES_HZ = 40.0 * 2.0 ** np.arange(9)


class Example(NamedTuple):
    """A window, or a batch of them.

    mixture: (..., samples, 2) float32.  stems: (..., stems with nets, samples, 2) float32.
    """

    mixture: NDArray[np.float32]
    stems: NDArray[np.float32]


class ExampleMaker:
    """Makes examples of songs. Any thread may call it."""

    def __init__(self, recipe: Recipe, songs: Sequence[Song]):
        self._recipe, self._songs = recipe, songs

    def batches(self, first_step: int) -> Generator[Example, None, None]:
        """The batches of the steps from `first_step` on, without end, prepared ahead."""
        step = first_step
        waiting: list[Future[Example]] = []
        pool = ThreadPoolExecutor(1, thread_name_prefix="rtsep-examples")
        try:
            while True:
                while len(waiting) < AHEAD:
                    waiting.append(pool.submit(self.batch, step))
                    step += 1
                yield waiting.pop(0).result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def batch(self, step: int) -> Example:
        """The batch of one step."""
        made = [self.example(step, number) for number in range(self._recipe.batch)]
        return Example(*(np.stack(parts) for parts in zip(*made)))

    def example(self, step: int, number: int) -> Example:
        """One window of frames."""
        recipe, augmentation = self._recipe, self._recipe.augmentation
        random = np.random.default_rng((recipe.seed, step, number))
        count = recipe.window_samples
        place = self._place(random)
        speed = 1.0
        if augmentation.speed:
            speed = 1 + random.uniform(-augmentation.speed, augmentation.speed)
        groups = [parts for _, parts in recipe.stems] + ([recipe.rest] if recipe.rest else [])
        summed = np.zeros((len(groups), count, NET_CHANNELS), np.float32)
        for index, group in enumerate(groups):
            for stem in group:
                remixed = augmentation.remix and random.random() < augmentation.remix
                song, start = self._place(random) if remixed else place
                silent = augmentation.silence and random.random() < augmentation.silence
                if stem in song.stems and not silent:
                    sound = _at_speed(song.stems[stem], start, count, speed)
                    summed[index] += _augmented(sound, recipe, random)
        song, start = place
        if song.mixture is not None and not augmentation.is_on:
            mixture = read(song.mixture, start, count)
        else:
            mixture = summed.sum(0)
        return Example(mixture, summed[: len(recipe.stems)])

    def _place(self, random: np.random.Generator) -> tuple[Song, int]:
        """A song, each as likely, and where in it a window begins."""
        song = self._songs[int(random.integers(len(self._songs)))]
        last = song.samples - self._recipe.window_samples - MARGIN_SAMPLES
        first = min(MARGIN_SAMPLES, max(last, 0))
        return song, int(random.integers(first, max(last, first) + 1))


def _at_speed(
    sound: NDArray[np.int16], start: int, count: int, speed: float
) -> NDArray[np.float32]:
    if speed == 1.0:
        return read(sound, start, count)
    import soxr

    taken = read(sound, start, int(count * speed) + 2)
    played: NDArray[np.float32] = soxr.resample(taken, speed, 1.0, quality="MQ")[:count]
    return np.pad(played, ((0, count - len(played)), (0, 0)))


def _augmented(
    sound: NDArray[np.float32], recipe: Recipe, random: np.random.Generator
) -> NDArray[np.float32]:
    augmentation = recipe.augmentation
    if augmentation.gain_db:
        gain_db = random.uniform(-augmentation.gain_db, augmentation.gain_db)
        sound = sound * np.float32(10 ** (gain_db / 20))
    if augmentation.swap and random.random() < 0.5:
        sound = sound[:, ::-1]
    if augmentation.equalise_db:
        sound = _equalised(sound, augmentation.equalise_db, random)
    return sound


def _equalised(
    sound: NDArray[np.float32], most_db: float, random: np.random.Generator
) -> NDArray[np.float32]:
    """Every octave made up to `most_db` louder or quieter, by a gain that is linear in octaves between.

    Without change of phase. The window's end runs over into its beginning by the few milliseconds
    that such a filter rings.
    """
    gains_db = random.uniform(-most_db, most_db, len(OCTAVES_HZ))
    count = len(sound)
    frequencies = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    # Constant below the first octave and above the last one.
    octaves = np.log2(np.maximum(frequencies, OCTAVES_HZ[0]))
    gains = 10 ** (np.interp(octaves, np.log2(OCTAVES_HZ), gains_db) / 20)
    made = np.fft.irfft(np.fft.rfft(sound, axis=0) * gains[:, None], count, axis=0)
    return np.asarray(made, np.float32)
