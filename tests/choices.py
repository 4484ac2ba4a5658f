"""Parameters of tests: few combinations of values, or all of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import product

# RTSEP_ALL_COMBINATIONS=1: all of them.
ALL = bool(os.environ.get("RTSEP_ALL_COMBINATIONS"))


def all_pairs(first: Sequence, second: Sequence, third: Sequence) -> list[tuple]:
    """Triples among which each value of one parameter meets each value of every other.

    third: has no more values than either of the others.
    """
    assert len(third) <= min(len(first), len(second))
    if ALL:
        return list(product(first, second, third))
    return [
        (one, other, third[(i + j) % len(third)])
        for i, one in enumerate(first)
        for j, other in enumerate(second)
    ]


def each_once(first: Sequence, second: Sequence) -> list[tuple]:
    """Each value of `first` with one of `second`, in turn.

    second: has no more values than `first`.
    """
    assert len(second) <= len(first)
    if ALL:
        return list(product(first, second))
    return [(one, second[i % len(second)]) for i, one in enumerate(first)]
