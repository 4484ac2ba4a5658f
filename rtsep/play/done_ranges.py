"""Which samples of a song are done, as ranges."""

from __future__ import annotations

from collections.abc import Iterable

Range = tuple[int, int]


class DoneRanges:
    """Ranges (begin, end) in samples that are done, in order, none touching another.

    Writer: one thread, `add`. Readers: any thread, as the tuple is replaced and never changed.
    """

    def __init__(self, ranges: Iterable[Range] = ()):
        self.ranges: tuple[Range, ...] = ()
        for begin, end in ranges:
            self.add(begin, end)

    def add(self, begin: int, end: int) -> None:
        """Call [begin, end) done."""
        if end <= begin:
            return
        before = [r for r in self.ranges if r[1] < begin]
        after = [r for r in self.ranges if r[0] > end]
        touched = [r for r in self.ranges if r[1] >= begin and r[0] <= end]
        whole = (
            min([begin, *(r[0] for r in touched)]),
            max([end, *(r[1] for r in touched)]),
        )
        self.ranges = (*before, whole, *after)

    def contains(self, begin: int, end: int) -> bool:
        """Whether all of [begin, end) is done."""
        return end <= begin or any(r[0] <= begin and end <= r[1] for r in self.ranges)

    def end_of_run(self, position: int) -> int:
        """Up to where everything from `position` on is done; `position` if nothing is."""
        return next((r[1] for r in self.ranges if r[0] <= position < r[1]), position)

    def first_gap(self, begin: int, end: int) -> Range | None:
        """The first range within [begin, end) that is not done; None if there is none."""
        position = self.end_of_run(begin)
        if position >= end:
            return None
        return position, min([end, *(r[0] for r in self.ranges if r[0] > position)])
