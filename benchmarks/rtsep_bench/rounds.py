"""Timing several things side by side, in rounds, on a machine that is never quiet.

    round 1   A A A  B B B  C C C
    round 2   B B B  C C C  A A A
    round 3   C C C  A A A  B B B

Each contender is called a few times in a row, as it would run in a program; whatever slows the
machine down for a while then hits all of them, and none always runs after the same other one.
Everything is called untimed beforehand.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)

WARM_UP_CALLS = 2


@dataclass(frozen=True)
class Timing:
    """What one contender took: wall-clock milliseconds of every call, by round."""

    rounds_ms: tuple[tuple[float, ...], ...]

    @property
    def min_ms(self) -> float:
        """The fastest call."""
        return min(map(min, self.rounds_ms))

    @property
    def median_ms(self) -> float:
        """The median of all calls."""
        return statistics.median(call for calls in self.rounds_ms for call in calls)

    def ratio_to(self, other: Timing) -> float:
        """How many times longer than `other` this took: the median over the rounds.

        In each round the fastest call of both is compared, so that a round in which the machine
        was slow counts like any other. Both must have been timed by one call of `interleave`.
        """
        pairs = zip(self.rounds_ms, other.rounds_ms, strict=True)
        return statistics.median(min(mine) / min(others) for mine, others in pairs)


def interleave(
    actions: Mapping[Key, Callable[[], object]], rounds: int, calls: int
) -> dict[Key, Timing]:
    """Time every action `calls` times in each of `rounds` rounds, their order rotated each time.

    rounds, calls: at least 1.
    """
    for action in actions.values():
        for _ in range(WARM_UP_CALLS):
            action()
    keys = list(actions)
    taken: dict[Key, list[tuple[float, ...]]] = {key: [] for key in keys}
    gc.collect()
    for number in range(rounds):
        first = number % len(keys) if keys else 0
        for key in keys[first:] + keys[:first]:
            taken[key].append(_time(actions[key], calls))
    return {key: Timing(tuple(rounds_ms)) for key, rounds_ms in taken.items()}


def _time(action: Callable[[], object], calls: int) -> tuple[float, ...]:
    taken_ms = []
    for _ in range(calls):
        start_ns = time.perf_counter_ns()
        action()
        taken_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
    return tuple(taken_ms)
