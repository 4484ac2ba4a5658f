"""How sure a mean over songs is: a bootstrap interval, and the song that does worst.

Versions of a song at other speeds are no songs of their own: they are averaged first, and a song is
drawn with all of them or not at all (Efron and Tibshirani, "An introduction to the bootstrap", 1993:
percentile intervals, the song as the unit that is drawn).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000
CONFIDENCE = 0.95
SEED = 0

Centre = Callable[..., NDArray[np.float64]]


@dataclass(frozen=True)
class Summary:
    """A figure over songs.

    centre: mean or median over the songs.  low, high: ends of its interval; None for a single song.
    by_song: the mean over a song's versions.
    """

    centre: float
    low: float | None
    high: float | None
    by_song: dict[str, float]

    @property
    def worst(self) -> str:
        """The title of the song with the lowest figure."""
        return min(self.by_song, key=self.by_song.__getitem__)

    @property
    def best(self) -> str:
        """The title of the song with the highest figure."""
        return max(self.by_song, key=self.by_song.__getitem__)


def summarise(
    figures: Iterable[tuple[str, float | None]], centre: Centre = np.mean
) -> Summary | None:
    """Sum up figures, each with the title of the song that it belongs to.

    centre: np.mean or np.median, over songs. Versions without a figure (None) are left out, and so is
    a song without any; None where nothing is left.
    """
    versions: dict[str, list[float]] = {}
    for title, figure in figures:
        if figure is not None:
            versions.setdefault(title, []).append(figure)
    if not versions:
        return None
    by_song = {title: float(np.mean(every)) for title, every in versions.items()}
    values = np.array([*by_song.values()])
    low, high = _interval(values, centre) if len(values) > 1 else (None, None)
    return Summary(float(centre(values)), low, high, by_song)


def _interval(values: NDArray[np.float64], centre: Centre) -> tuple[float, float]:
    random = np.random.default_rng(SEED)
    drawn = values[random.integers(0, len(values), (DRAWS, len(values)))]
    beyond = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(centre(drawn, axis=1), [beyond, 100 - beyond])
    return float(low), float(high)
