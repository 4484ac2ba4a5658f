"""What a plan costs on this machine: a real engine, driven unpaced for a moment, against the clock.

Hop by hop goes in as fast as it can. The hop that completes a window is timed until the masks of all
nets are there: so the nets share the cores, and the audio thread's own work counts, as when playing.

A plan is sustained when no mask is late, so it is held to the slowest run. But not to what other
programs take of the cores meanwhile: the timing has no real-time priority, which playing has, and what
else runs at a start is over soon. So a run counts with the time for which its net had a core, and with
the least that any run took beyond that: the handing over, and waiting for one another's cores. And once
a machine may stand still for a moment, a virtual one without its threads' clocks knowing: the slowest
run of all is left out. That a machine stands still more often than that is seen while playing, where it
counts (steps.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.channels import NET_CHANNELS
from rtsep.live.engine import Engine
from rtsep.live.plans.choice import HEAD_ROOM
from rtsep.live.plans.plan import StreamPlan

# By then the nets' caches are filled for every time phase (nets/sliding.py), 32 frames at most.
WARM_HOPS = 32
# So many runs are timed, or as many as fit in LONGEST_S, but no fewer than FEWEST_RUNS.
RUNS, FEWEST_RUNS = 24, 3
LONGEST_S = 0.4
# So many runs may be slower than the one that a plan is held to.
LEFT_OUT = 1
NOISE_RMS = 0.1


def granted_ms(plan: StreamPlan, block: int = 0) -> float:
    """What a run may take with blocks of so many samples at 44.1 kHz, 0 where that is not known.

    Then a compute delay of less than a hop counts as none: there are blocks with which it leaves a run
    no time.
    """
    if block:
        return plan.time_for_run_ms(block)
    return 0.0 if 0 < plan.compute_delay < 1 else plan.deadline_ms


@dataclass(frozen=True)
class PlanTiming:
    """What was measured, in milliseconds.

    run_ms: from the block that completes a window to the masks of all nets, in the slowest runs.
    callback_ms: the engine's own time for a hop, in the median.
    stall_ms: how much longer than run_ms runs have taken while playing, more than once.
    """

    run_ms: float
    callback_ms: float
    stall_ms: float = 0.0

    def load(self, plan: StreamPlan, block: int = 0) -> float:
        """Part of a run's deadline that is used up, callbacks included; infinite where there is none.

        Stalls are what head-room is left for; what they take beyond it counts.
        block: samples per device block at 44.1 kHz, 0 where it is not known; see `granted_ms`.
        """
        deadline_ms = granted_ms(plan, block)
        if deadline_ms <= 0:
            return float("inf")
        hop_ms = plan.period_ms / plan.stride
        # The first is part of run_ms.
        further_callbacks = max(0, ceil(deadline_ms / hop_ms) - 1)
        stalled_ms = max(0.0, self.stall_ms - HEAD_ROOM * deadline_ms)
        return (self.run_ms + further_callbacks * self.callback_ms + stalled_ms) / deadline_ms


def time_engine(engine: Engine, clock: Callable[[], float] = time.perf_counter) -> PlanTiming:
    """Start `engine`, time it for about half a second, and stop it.

    clock: seconds. Raises RtsepError where a worker fails.
    """
    plan = engine.plan
    noise = np.random.default_rng(0).standard_normal((plan.hop, NET_CHANNELS)) * NOISE_RMS
    block = noise.astype(np.float32)
    out = np.zeros((plan.hop, engine.output_channels), np.float32)
    runs_s: list[float] = []
    own_s: list[float] = []
    callbacks_s: list[float] = []
    engine.start()
    try:
        warm_runs = ceil(WARM_HOPS / plan.stride)
        for _ in range(warm_runs * plan.stride):
            engine.wait_for_workers()
            engine.process(block, out)
        began = clock()
        while len(runs_s) < RUNS and (len(runs_s) < FEWEST_RUNS or clock() - began < LONGEST_S):
            for _ in range(plan.stride - 1):
                engine.wait_for_workers()
                before = clock()
                engine.process(block, out)
                callbacks_s.append(clock() - before)
            engine.wait_for_workers()
            before = clock()
            engine.process(block, out)
            handed_over = clock()
            engine.wait_for_workers()
            runs_s.append(clock() - before)
            own_s.append(max(worker.own_s for worker in engine.workers))
            if plan.stride == 1:
                callbacks_s.append(handed_over - before)
    finally:
        engine.stop()
    run_s = slowest_s(np.array(runs_s), np.array(own_s))
    return PlanTiming(1e3 * run_s, 1e3 * float(np.median(callbacks_s)))


def slowest_s(runs_s: NDArray[np.float64], own_s: NDArray[np.float64]) -> float:
    """What the slowest runs took, others' programs left out; own_s: core's time of the slowest net."""
    unhindered_s = np.sort(own_s + np.min(runs_s - own_s))
    return float(unhindered_s[-1 - LEFT_OUT])
