"""Which late masks of a live run are the machine's doing: those seen right after it stood still."""

from __future__ import annotations

from rtsep.errors import UsageError
from rtsep_bench.watchdog import Watchdog, priority

# A stall is long from this part of the workers' deadline on; within so much after it they are back.
LONG_STALL, RECOVERED_S = 0.2, 0.5


class StallWatch(Watchdog):
    """A watchdog that can tell late masks beside the machine's stalls from the others."""

    def figures(self, deadline_s: float, late_masks_seen: list[tuple[float, int]]) -> dict:
        """`stalls`, `longest_stall_ms` and `late_masks_beside_stalls`, after the `with` block.

        late_masks_seen: (when, how many), `when` in seconds on the monotonic clock.
        """
        stalls = self.stalls(LONG_STALL * deadline_s)
        beside = sum(
            count
            for seen_s, count in late_masks_seen
            if any(0 <= seen_s - over_s < RECOVERED_S for over_s in stalls)
        )
        return {
            "stalls": len(stalls),
            "longest_stall_ms": 1000 * self.longest_s,
            "late_masks_beside_stalls": beside,
        }


def watch_for_stalls() -> StallWatch:
    """A watchdog to enter; raises UsageError where it may not go before other programs."""
    if not priority():
        raise UsageError("--watch needs Linux and leave to go before all other programs (nice -15)")
    return StallWatch()
