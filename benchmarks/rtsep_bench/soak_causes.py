"""Why a piece of the song was wrong, from what was noted at the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtsep_bench.core_speed import Slow

STALLED = "the machine stood still"
MEASURING = "the player or the listener missed a cycle"
XRUN = "xrun"
LATE = "late mask"
# Stands behind a cause.
SLOW = "while the machine was slow"
UNKNOWN = "unexplained: neither xrun nor late mask"
# Clocks of different programs, and blocks under way.
AROUND_S = 0.25


@dataclass(frozen=True)
class Stall:
    """The machine went on at `over_s`, after `length_s` for which `held_up_by` held it up, if known."""

    over_s: float
    length_s: float
    held_up_by: str = ""

    def __str__(self) -> str:
        by = f": {self.held_up_by}" if self.held_up_by else ""
        return f"{STALLED} ({1000 * self.length_s:.1f} ms{by})"


@dataclass(frozen=True)
class Noted:
    """What happened when, in seconds on the monotonic clock.

    stalls, slow: None and nothing where nobody watched.
    measuring_s: gaps of the player and the listener.  xruns_s, late_masks_s: as rtsep-monitor counted.
    reaches_s: how long after something the sound may still be wrong because of it.
    """

    stalls: Sequence[Stall] | None
    slow: Sequence[Slow]
    measuring_s: Sequence[float]
    xruns_s: Sequence[float]
    late_masks_s: Sequence[float]
    reaches_s: float


def explain(gap_s: float, noted: Noted) -> str:
    """The cause of a gap that begins at `gap_s`: what was noted then or shortly before.

    Of several, the one that lies deepest: a machine that stands still makes all others late.
    """

    def near(at_s: float) -> bool:
        return -noted.reaches_s - AROUND_S <= at_s - gap_s <= AROUND_S

    stalled = [stall for stall in noted.stalls or () if near(stall.over_s)]
    if stalled:
        return str(max(stalled, key=lambda stall: stall.length_s))
    for cause, times_s in (
        (MEASURING, noted.measuring_s), (XRUN, noted.xruns_s), (LATE, noted.late_masks_s),
    ):  # fmt: skip
        noted_s = [at_s for at_s in times_s if near(at_s)]
        if noted_s:
            return _while_slow(cause, noted_s, noted.slow)
    return UNKNOWN


def _while_slow(cause: str, noted_s: Sequence[float], slow: Sequence[Slow]) -> str:
    """A cause noted at these times, and by how much the machine was slow at one of them, if it was."""
    during = [
        phase
        for phase in slow
        if any(phase.from_s - AROUND_S <= at_s <= phase.to_s + AROUND_S for at_s in noted_s)
    ]
    if not during:
        return cause
    worst = max(during, key=lambda phase: phase.times)
    return f"{cause} {SLOW} ({worst.what}: {worst.times:.1f} times its usual time)"
