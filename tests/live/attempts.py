"""Runs beside which the machine itself stood still prove nothing, and are repeated."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rtsep_bench.watchdog import Watchdog

MOST_ATTEMPTS = 3
# Of what a device buffers: the rest is taken by the chain of programs, each waiting for the one before.
LONG_STALL = 1 / 3


class DropOut(AssertionError):
    """Sound was lost between a program and its device."""


def assert_no_dropouts(stats: dict) -> None:
    """No late masks, no xruns, by --stats. Raises DropOut."""
    assert stats["late_masks"] == 0
    if any(stats["xruns"].values()):
        raise DropOut(stats["xruns"])


def repeat_if_disturbed(attempt: Callable[[], None], buffer_s: float) -> None:
    """Run `attempt`, a test; again where it fails and the watchdog saw the machine stand still.

    A failure on a machine that did not is the program's at once. The last failure stands, but for
    drop-outs: where each attempt had some and stalls, the test is skipped, since this cannot be told.
    """
    for attempts_left in reversed(range(MOST_ATTEMPTS)):
        with Watchdog() as watchdog:
            try:
                return attempt()
            except AssertionError as error:
                failure = error
        stalls = len(watchdog.stalls(LONG_STALL * buffer_s))
        if not stalls or (not attempts_left and not isinstance(failure, DropOut)):
            raise failure
    pytest.skip(
        f"drop-outs in each of {MOST_ATTEMPTS} runs, beside which the machine itself stood still: in "
        f"the last one {stalls} times, {1000 * watchdog.longest_s:.1f} ms at most"
    )
