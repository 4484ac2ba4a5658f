"""One way to show a net the newest frames, as data; views.py runs a net on several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class View(NamedTuple):
    """One way to show a net the newest frames.

    Attributes
    ----------
    frames : int
        T, the length of the window; a multiple of 64.
    shift : int
        The net sees bin f + shift of the spectrum in the place of bin f, silence beyond its bins.
    """

    frames: int
    shift: int = 0


def views_of(times: Mapping[int, int]) -> tuple[View, ...]:
    """Views by the length of the window, and how often each is shown.

    Once is as it is; every two times more are a bin further up and as far down. An even number leaves
    out the one as it is.
    """
    return tuple(
        View(frames, shift)
        for frames, count in times.items()
        for shift in range(-(count // 2), count // 2 + 1)
        if count % 2 or shift
    )
