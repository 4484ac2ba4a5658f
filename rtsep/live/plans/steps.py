"""When a stream goes over to another plan, and to which: a longer one under load, back after 30 s.

    first seconds     late masks twice: the plan was chosen wrongly, or the machine is busy with
                      starting other things. A longer one, until there was room for two minutes
    later             late masks for two seconds, or three times in 30 s, or no time left: a longer
                      one, for now
    30 s of room      back to the one that was left last

One late mask may happen to anybody, as where another program starts, and is hardly heard. A second one
in the first seconds is what this machine does, as far as that can be known. A shorter plan that does not
last is waited for twice as long the next time. Between two changes lie APART_S at least.

Time is that of the stream: one that stands still is not judged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsep.live.load_watch import LoadWatch
from rtsep.live.plans.choice import HEAD_ROOM
from rtsep.live.plans.plan import StreamPlan
from rtsep.live.plans.work import run_work

# The first seconds, of which the very first, in which devices fill their buffers, does not count. Late
# masks nearer to each other than this are one event.
CHECKED_S, FILLING_S, EVENT_S = 10.0, 1.0, 1.0
# So many events in such a time are too many later on.
EVENTS, EVENTS_S = 3, 30.0
# Between two changes, at least.
APART_S = 10.0
# Room that is seen before a shorter plan is taken again; if it was chosen wrongly; and at most, where
# that has failed before.
ROOM_S, WRONG_ROOM_S, MOST_ROOM_S = 30.0, 120.0, 480.0
# A shorter plan that is left again within this time has failed.
FAILED_S = 120.0


@dataclass(frozen=True)
class Step:
    """plan: to go over to, None where there is none. why: in words. was_wrong: that of now was."""

    plan: StreamPlan | None
    why: str
    was_wrong: bool = False


class PlanSteps:
    """The plans of one stream. One user at a time.

    Parameters
    ----------
    plan : StreamPlan
        The first.
    longer : callable
        The plan that relieves the machine of another one, of which a run takes so many ms; or None.
    work : callable
        Estimates the work of a plan's run, in any unit; see work.py.
    now_s : float
        Seconds of the stream so far, from which on the first seconds are counted.
    """

    def __init__(
        self,
        plan: StreamPlan,
        longer: Callable[[StreamPlan, float], StreamPlan | None],
        work: Callable[[StreamPlan], float] = run_work,
        now_s: float = 0.0,
    ) -> None:
        self._plan, self._longer, self._work = plan, longer, work
        # Those left for now, the one left last at the end.
        self._left: list[StreamPlan] = []
        self._room_s = ROOM_S
        self._changed_s = now_s - APART_S
        self._returned_s: float | None = None
        self._checked_from_s = now_s
        self._begin(now_s, 0, 0)

    def _begin(self, now_s: float, hops: int, late_masks: int) -> None:
        self._watch = LoadWatch(hops, late_masks)
        self._late_masks = late_masks
        self._events_s: deque[float] = deque(maxlen=EVENTS)
        self._wrong: str | None = None  # in words, where the plan was chosen wrongly
        self._room_since_s = now_s

    def changed(self, plan: StreamPlan, now_s: float, hops: int, late_masks: int) -> None:
        """`plan` is what is heard from now on; it is judged from here."""
        self._plan = plan
        self._changed_s = now_s
        self._begin(now_s, hops, late_masks)

    def look(
        self,
        now_s: float,
        hops: int,
        late_masks: int,
        newest_ms: Callable[[float], NDArray[np.float64]],
    ) -> Step | None:
        """What is to be done now.

        Parameters
        ----------
        now_s : float
            Seconds of the stream so far.
        hops, late_masks : int
            Its counters.
        newest_ms : callable
            Durations of the slowest net's runs in the newest so many seconds, at least one.

        Returns
        -------
        Step or None
            To be answered by `changed` when it is done. None: go on.
        """
        recent_ms = newest_ms(2.0)
        load = float(np.median(recent_ms)) / self._plan.deadline_ms
        why = self._watch.note(hops, late_masks, load)
        if late_masks > self._late_masks:
            self._late_masks = late_masks
            self._room_since_s = now_s
            self._note_event(now_s)
        events_s = self._events_s
        is_now = len(events_s) == EVENTS and now_s - events_s[-1] <= EVENT_S
        if why is None and is_now and now_s - events_s[0] <= EVENTS_S:
            why = f"late masks {EVENTS} times in {EVENTS_S:.0f} s"
        if now_s - self._changed_s < APART_S:
            return None
        if self._wrong or why:
            return self._down(now_s, self._wrong or str(why), recent_ms)
        return self._up(now_s, newest_ms)

    def _note_event(self, now_s: float) -> None:
        played_s = now_s - self._checked_from_s
        events_s = self._events_s
        if played_s < FILLING_S or (events_s and now_s - events_s[-1] < EVENT_S):
            return
        events_s.append(now_s)
        if len(events_s) == 2 and played_s < CHECKED_S:
            self._wrong = f"late masks twice in the first {played_s:.0f} s"

    def _down(self, now_s: float, why: str, recent_ms: NDArray[np.float64]) -> Step:
        plan = self._longer(self._plan, float(np.percentile(recent_ms, 90)))
        was_wrong = self._wrong is not None
        self._events_s.clear()
        self._wrong = None
        if plan is None:
            return Step(None, why)
        if was_wrong:
            self._checked_from_s = now_s  # the next one is looked at as well
            self._room_s = WRONG_ROOM_S
        elif self._returned_s is not None and now_s - self._returned_s < FAILED_S:
            self._room_s = min(2 * self._room_s, MOST_ROOM_S)
        self._returned_s = None
        self._left.append(self._plan)
        return Step(plan, why, was_wrong)

    def has_lasted(self, now_s: float) -> bool:
        """Whether the plan of now, once left, is back for so long that it does. True once."""
        lasted = self._returned_s is not None and now_s - self._returned_s >= FAILED_S
        if lasted:
            self._returned_s = None
            self._room_s = ROOM_S
        return lasted

    def _up(self, now_s: float, newest_ms: Callable[[float], NDArray[np.float64]]) -> Step | None:
        if not self._left or now_s - self._room_since_s < self._room_s:
            return None
        shorter = self._left[-1]
        runs_ms = newest_ms(self._room_s) * self._work(shorter) / self._work(self._plan)
        usual_ms = float(np.percentile(runs_ms, 90))
        deadline_ms = shorter.deadline_ms
        if usual_ms > (1 - HEAD_ROOM) * deadline_ms or runs_ms.max() > deadline_ms:
            return None
        self._left.pop()
        self._returned_s = now_s
        return Step(shorter, f"room for {self._room_s:.0f} s")
