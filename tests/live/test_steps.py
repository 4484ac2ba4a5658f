"""When a stream changes its plan: by a clock of the test's, which is the stream's own."""

import numpy as np
import pytest

from rtsep.constants import HOP, SAMPLE_RATE
from rtsep.live.plans.choice import slower_plan
from rtsep.live.plans.ladder import LADDER
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import PLANS
from rtsep.live.plans.steps import (
    APART_S,
    CHECKED_S,
    EVENTS_S,
    FAILED_S,
    FILLING_S,
    MOST_ROOM_S,
    ROOM_S,
    WRONG_ROOM_S,
    PlanSteps,
)
from rtsep.live.plans.work import run_work

START = read_plan("64/1/1/0.5/asymmetric/4")
LOOK_S = 0.2


class Stream:
    """A stream whose masks are late when the test says so, on a machine that is as loaded as it says."""

    def __init__(self, plan=START, ladder=LADDER):
        self.plan, self.now_s, self.late_masks = plan, 0.0, 0
        self.work_ms = 1.0  # a run of the least work
        self.steps = PlanSteps(plan, lambda *asked: slower_plan(*asked, ladder))
        self.changes = []  # (when, plan or None, for good)
        self._runs_ms = []  # at each look

    def play(self, seconds, late_at=()):
        """Go on for so long; masks are late at these seconds of the stream."""
        ends_s = self.now_s + seconds
        late_at = [at for at in late_at if at >= self.now_s]
        while self.now_s < ends_s - 1e-9:
            self.now_s += LOOK_S
            while late_at and late_at[0] <= self.now_s:
                late_at.pop(0)
                self.late_masks += 1
            run_ms = self.work_ms * run_work(self.plan)
            self._runs_ms.append(run_ms)
            if run_ms > self.plan.deadline_ms:
                self.late_masks += 5
            step = self.steps.look(self.now_s, self._hops(), self.late_masks, self._newest_ms)
            if step is not None:
                self.changes.append((self.now_s, step.plan, step.was_wrong))
                if step.plan is not None:
                    self.plan = step.plan
                    self.steps.changed(step.plan, self.now_s, self._hops(), self.late_masks)

    def _hops(self):
        return int(self.now_s * SAMPLE_RATE / HOP)

    def _newest_ms(self, seconds):
        return np.array(self._runs_ms[-max(1, round(seconds / LOOK_S)) :])


def test_one_late_mask_may_happen_and_those_while_devices_fill_their_buffers_do_not_count():
    stream = Stream()
    stream.play(60, late_at=[0.3, 0.5, 0.8, 5.0])
    assert not stream.changes


def test_late_masks_twice_in_the_first_seconds_mean_another_plan_was_wrong():
    stream = Stream()
    stream.play(WRONG_ROOM_S, late_at=[3.0, 6.0])
    ((when_s, plan, was_wrong),) = stream.changes
    assert FILLING_S < when_s < CHECKED_S and was_wrong
    assert plan.deadline_ms > START.deadline_ms
    stream.play(20)
    assert stream.plan is START
    # That it lasts this time is told once.
    assert not stream.steps.has_lasted(stream.now_s)
    stream.play(FAILED_S)
    assert [stream.steps.has_lasted(stream.now_s) for _ in range(2)] == [True, False]


def test_the_plan_taken_then_is_looked_at_as_well():
    stream = Stream()
    stream.play(100, late_at=[3.0, 6.0, 9.0, 12.0])
    (_, second, _), (when_s, third, was_wrong) = stream.changes
    assert was_wrong and third.deadline_ms > second.deadline_ms
    assert when_s - stream.changes[0][0] >= APART_S


@pytest.mark.parametrize("bursts", [1, 40])
def test_late_masks_now_and_then_are_too_many_but_not_those_of_one_moment(bursts):
    every_s = EVENTS_S / 5
    stream = Stream()
    late_at = [20 + every_s * burst for burst in range(bursts)]
    stream.play(20 + every_s * 3, late_at=[at + 0.02 * n for at in late_at for n in range(20)])
    assert [was_wrong for *_, was_wrong in stream.changes] == [False] * (bursts > 1)


def test_it_steps_up_under_load_and_back_after_room():
    stream = Stream()
    stream.play(60)
    stream.work_ms = 2 * START.deadline_ms
    stream.play(120)
    under_load = list(stream.changes)
    assert under_load and stream.plan.latency_samples > START.latency_samples
    # Nothing is given back while the load stays.
    latencies = [plan.latency_samples for _, plan, _ in under_load if plan is not None]
    assert latencies == sorted(latencies)
    eased_s, stream.work_ms = stream.now_s, 1.0
    stream.play(600)
    back = stream.changes[len(under_load) :]
    assert stream.plan is START
    assert back[0][0] - eased_s >= ROOM_S - LOOK_S
    assert not any(was_wrong for *_, was_wrong in stream.changes)
    times_s = [when_s for when_s, *_ in stream.changes]
    assert np.diff(times_s).min() >= APART_S - 1e-9


def test_it_does_not_go_back_where_the_shorter_plan_would_have_no_room():
    stream = Stream()
    stream.work_ms = 2 * START.deadline_ms
    stream.play(60)
    longer = stream.plan
    stream.work_ms = 0.9 * START.deadline_ms
    stream.play(300)
    assert stream.plan is longer


def test_whatever_the_load_does_there_are_ten_seconds_between_two_changes():
    rng = np.random.default_rng(7)
    stream = Stream()
    for _ in range(150):
        stream.work_ms = START.deadline_ms * 2 ** rng.uniform(-5, 3)
        stream.play(rng.uniform(1, 40))
    times_s = [when_s for when_s, plan, _ in stream.changes if plan is not None]
    assert len(times_s) > 5
    assert np.diff(times_s).min() >= APART_S - 1e-9


def test_a_shorter_plan_that_does_not_last_is_waited_for_twice_as_long_each_time():
    """As where masks are late for another cause than the load, which cannot be foreseen."""
    stream = Stream()
    returns_s = []
    for _ in range(8):
        late_at = stream.now_s + 15 + np.arange(0, 4, 0.1)
        stream.play(25, late_at=late_at.tolist())
        assert stream.plan is not START
        left_s = stream.now_s
        while stream.plan is not START:
            stream.play(LOOK_S)
        returns_s.append(stream.now_s - left_s)
    assert returns_s[0] <= ROOM_S
    assert returns_s == sorted(returns_s)
    assert MOST_ROOM_S - FAILED_S < returns_s[-1] <= MOST_ROOM_S


def test_where_no_plan_is_longer_that_is_said():
    stream = Stream(PLANS["classic"])
    stream.play(60, late_at=[3.0, 6.0])
    assert stream.changes and stream.changes[0][1] is None
