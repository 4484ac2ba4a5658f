"""The thread that looks after the plan of a stream, as long as it plays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsep.live.live_engine import LiveEngine
from rtsep.live.load_watch import newest_runs_ms
from rtsep.live.plans.choice import slower_plan, version_with_room
from rtsep.live.plans.ladder import Rung, work_on
from rtsep.live.plans.plan import StreamPlan
from rtsep.live.plans.steps import CHECKED_S, PlanSteps

# How often it looks.
LOOK_S = 0.2
# The newest runs by which it is judged how rich a version of a plan the machine sustains.
WISH_S = 2.0

# Takes a plan, and the durations of its runs in ms or None; see AdaptiveEngine.
Judge: TypeAlias = Callable[[StreamPlan, NDArray[np.float64] | None], None]


class Changeable(LiveEngine, Protocol):
    """An engine whose plan can be changed; see AdaptiveEngine."""

    @property
    def is_changing(self) -> bool:
        """Whether a change is going on."""
        ...

    def change_plan(self, plan: StreamPlan, why: str, *, in_need: bool = True) -> None:
        """Go over to `plan`. in_need: the machine does not keep up with the old one."""
        ...

    def let_go(self) -> bool:
        """End what is not heard any more once a change is over; whether one was."""
        ...

    def take_wish(self) -> str | None:
        """The plan of `offers` that was asked for since, if any was: the newest."""
        ...


def watch_plans(
    engine: Changeable,
    stopping: threading.Event,
    say: Callable[[str], None],
    ladder: Sequence[Rung],
    on_judged: Judge,
) -> None:
    """Change the plan of `engine` when it is asked for, or steps.py says so, until `stopping` is set.

    say, on_judged: as for AdaptiveEngine. ladder: the plans to step to, until one is asked for: then
    those that its name stands for. None where the plan is to be left alone. Raises what `change_plan`
    does.
    """

    def steps_from(plan: StreamPlan, now_s: float) -> PlanSteps:
        within = ladder
        return PlanSteps(
            plan, lambda plan, run_ms: slower_plan(plan, run_ms, within), work_on(within), now_s
        )

    steps = steps_from(engine.plan, 0.0)
    counters, told = engine.counters, False
    while not stopping.wait(LOOK_S):
        if engine.is_changing:
            continue
        now_s, plan = engine.played_s, engine.plan
        newest_ms = partial(newest_runs_ms, engine)
        if engine.let_go():
            steps.changed(plan, now_s, counters.hops, counters.late_masks)
        wish = engine.take_wish()
        if wish is not None:
            ladder, told = engine.offers[wish], False
            run_ms = float(np.percentile(newest_ms(WISH_S), 90))
            wanted = version_with_room(ladder, plan, run_ms)
            steps = steps_from(wanted, now_s)
            steps.changed(wanted, now_s, counters.hops, counters.late_masks)
            if wanted != plan:
                engine.change_plan(wanted, f"{wish} is asked for", in_need=False)
            continue
        if not ladder:
            continue
        step = steps.look(now_s, counters.hops, counters.late_masks, newest_ms)
        if steps.has_lasted(now_s):
            on_judged(plan, None)
        if step is None:
            continue
        if step.was_wrong:
            on_judged(plan, newest_ms(CHECKED_S))
        if step.plan is not None:
            engine.change_plan(step.plan, step.why)
        elif not told:
            told = True
            say(f"{step.why}, and no plan is slower: going on with {plan.name}")
