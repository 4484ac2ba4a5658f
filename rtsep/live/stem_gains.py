"""The gains of a live mix, by name of stem."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Mapping, MutableMapping

from rtsep.errors import UsageError
from rtsep.live.mixer import MixTarget


class StemGains(MutableMapping[str, float]):
    """Linear gain of each stem in the mix: 1 leaves it as it is, 0 silences it.

    The audio thread reads the gains once per hop and fades from one to the next, so that no change
    clicks. May be read and written from any thread.

    Parameters
    ----------
    target : MixTarget
        The engine, which may be exchanged for another one with the same stems.
    """

    def __init__(self, target: MixTarget) -> None:
        self.target = target

    def __getitem__(self, stem: str) -> float:
        return float(self.target.gains[self._place(stem)])

    def __setitem__(self, stem: str, gain: float) -> None:
        place = self._place(stem)
        self.target.gains[place] = check_gain(stem, gain)

    def __delitem__(self, stem: str) -> None:
        raise UsageError(f"the gain of {stem!r} cannot be removed: set it to 0 to silence the stem")

    def __iter__(self) -> Iterator[str]:
        return iter(self.target.stems)

    def __len__(self) -> int:
        return len(self.target.stems)

    def __repr__(self) -> str:
        return repr(dict(self))

    def _place(self, stem: str) -> int:
        stems = tuple(self.target.stems)
        if stem not in stems:
            raise UsageError(f"there is no stem {stem!r}: choose from {', '.join(stems)}")
        return stems.index(stem)


def check_gain(stem: str, gain: object) -> float:
    """`gain` as a float; raises UsageError unless it is a finite number of at least 0."""
    number = isinstance(gain, numbers.Real) and not isinstance(gain, bool)
    if not number or not 0 <= float(gain) < math.inf:  # type: ignore[arg-type]
        raise UsageError(
            f"the gain of {stem!r} must be a finite number of at least 0, where 1 leaves the stem as it"
            f" is: got {gain!r}"
        )
    return float(gain)  # type: ignore[arg-type]


def check_gains(gains: Mapping[str, float] | None) -> dict[str, float]:
    """`gains` with every value checked; none for None."""
    return {stem: check_gain(stem, gain) for stem, gain in (gains or {}).items()}
