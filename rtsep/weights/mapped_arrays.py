"""Arrays of an open file, each in memory only while somebody holds it.

A mapping of the whole file would keep every page that was read: all weights at once, beside what is made
of them.
"""

from __future__ import annotations

import math
import mmap
import os
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Place(NamedTuple):
    """Where an array of little-endian float32 stands in a file.

    offset: in bytes, from the file's beginning.
    """

    shape: tuple[int, ...]
    offset: int


class OpenFile:
    """A file that stays what it was when it was opened, and is closed with the last that holds it.

    Raises OSError where it cannot be opened.
    """

    def __init__(self, path: Path):
        self.number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self.number)


class MappedArrays(Mapping[str, np.ndarray]):
    """Read-only arrays by name. Each look-up maps the array anew: keep no more than is in use.

    Parameters
    ----------
    file : OpenFile
    places : mapping of str to Place
        Within the file.
    """

    def __init__(self, file: OpenFile, places: Mapping[str, Place]):
        self._file, self._places = file, places

    def __getitem__(self, name: str) -> np.ndarray:
        """The array, float32; its pages are given back with it. From any thread."""
        place = self._places[name]
        count = math.prod(place.shape)
        if not count:  # nothing cannot be mapped
            return np.zeros(place.shape, np.float32)
        # A map begins at a border of pages.
        before = place.offset % mmap.ALLOCATIONGRANULARITY
        pages = mmap.mmap(
            self._file.number,
            before + 4 * count,
            access=mmap.ACCESS_READ,
            offset=place.offset - before,
        )
        return np.frombuffer(pages, "<f4", count, before).reshape(place.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
