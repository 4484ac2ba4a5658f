"""An engine that changes its plan while it plays: longer where the machine does not keep up, and back.

    audio thread          A A A A A A A A A A A A A A A A A A|A and B|B B B B ...
    workers of A          . . . . . . . . . . . . .| (A holds its last masks, if B is the longer plan)
    watching thread         load too high: | make B | replay the past into B | offer |

The next engine, B, is made, started and fed with the newest seconds of the input by a thread of its
own, until its output is what it would be had it run from the start. Then the audio thread, at the
beginning of a block, feeds it what is still missing, and hands over (handover.py): both run until a
quiet place, within a second, and are faded there.

On the way to a longer plan A's nets stop while B catches up, because both together are more than the
machine can do. On the way back there is room, and both run.

What is heard jumps by the difference of the two latencies. Going to a longer plan so much of the music
repeats, also in a recording; going back so much is left out. When to go, and where, steps.py says.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.errors import RtsepError, UsageError
from rtsep.live.engine import Engine
from rtsep.live.handover import Handover
from rtsep.live.mixer import Mixable
from rtsep.live.past import Past, heard_hops, past_hops
from rtsep.live.plan_watch import Judge, watch_plans
from rtsep.live.plans.ladder import Rung, ladder_of
from rtsep.live.plans.plan import MOST_WAITED, StreamPlan
from rtsep.live.stats import Counters, Durations
from rtsep.live.stream_figures import StreamFigures
from rtsep.live.worker import Worker
from rtsep.system.memory import touched_zeros

# How far the audio thread may run ahead of what is fed.
MARGIN_S = 4.0
# Times that what has come in meanwhile is fed with every mask waited for; the rest then is not.
MOST_PASSES = 8


class AdaptiveEngine(Mixable, StreamFigures):
    """A row of Engines as one LiveEngine, each with a plan of its own.

    Parameters
    ----------
    make_engine : callable
        Makes one for a plan, always with the same outputs.
    plan : StreamPlan
        The first.
    say : callable
        Is told in a line what happens, by the watching thread.
    watching : bool
        Change by itself where the load asks for it, and not only by `change_plan`.
    ladder : sequence of Rung, optional
        The plans to go to; all of the model by default.
    offers : mapping of str to sequence of Rung
        What may be asked for by name (`ask_for`), and the plans that each name stands for: of these it
        takes the best that the machine sustains, and changes among them from then on.
    on_judged : callable
        Is told of a plan that turned out in the first seconds not to be sustained, with the durations
        of its runs in ms; and with None where it has turned out since to be. By the watching thread.

    Attributes
    ----------
    counters : Counters
        Of the whole stream.
    plan_changes : list of dict
        What has happened, as in `stats`.
    failure : BaseException or None
        Why the last change failed.
    """

    def __init__(
        self,
        make_engine: Callable[[StreamPlan], Engine],
        plan: StreamPlan,
        say: Callable[[str], None],
        *,
        watching: bool = True,
        ladder: Sequence[Rung] | None = None,
        offers: Mapping[str, Sequence[Rung]] = MappingProxyType({}),
        on_judged: Judge = lambda plan, runs_ms: None,
    ):
        self._make_engine, self._say = make_engine, say
        self.offers, self._on_judged = offers, on_judged
        # writer: audio thread, from then on; readers: all
        self._current = make_engine(plan)
        self.config, self.stems = self._current.config, self._current.stems
        self.masking, self.output_channels = self._current.masking, self._current.output_channels
        self.counters, self.callback_durations = Counters(), Durations()
        self.mix = self._current.mix  # shared by all engines
        self.plan_changes: list[dict[str, Any]] = []
        self.failure: BaseException | None = None

        hop = plan.hop
        ladder = ladder_of(self.config) if ladder is None else ladder
        offered = [rung for rungs in offers.values() for rung in rungs]
        plans = [plan, *(rung.plan for rung in (*ladder, *offered))]
        self._ladder = ladder if watching else ()
        # The newest plan that was asked for. writer: whoever controls the stream; the watching thread
        # takes it away
        self._wish: deque[str] = deque(maxlen=1)
        longest_hops = max(past_hops(each) for each in plans)
        self._past = Past(longest_hops * hop + ceil(MARGIN_S * SAMPLE_RATE))
        # An engine and the sample it has been fed up to. writers: whoever changes the plan sets it,
        # the audio thread takes it away
        self._offered: tuple[Engine, int] | None = None
        # All below: writer and reader are the audio thread.
        self._next: Engine | None = None
        self._handover = Handover(hop, self.output_channels)
        # Output of an engine that is not heard yet. writer: whoever feeds it, which is the audio thread
        # once it has been offered
        self._unheard = touched_zeros((hop, self.output_channels), np.float32)
        self._counted = Counters()
        # Kept until the audio thread has let go of it, which must not free so much memory itself.
        self._retired: Engine | None = None
        self._stopping = threading.Event()
        # Made by `start`: a thread that has not run holds this engine, which would hold it.
        self._watcher: threading.Thread | None = None

    # --- life -----------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """As Engine.warm_up."""
        self._current.warm_up()

    def start(self) -> None:
        """As Engine.start."""
        self._current.start()
        if self._ladder or self.offers:
            self._watcher = threading.Thread(target=self._watch, name="rtsep plans", daemon=True)
            self._watcher.start()

    def stop(self, *, wait: bool = True) -> None:
        """End the workers, and the watching; wait: until they have ended."""
        self._stopping.set()
        if wait and self._watcher is not None:
            self._watcher.join()
        for engine in (self._offered or (None,))[0], self._next, self._current, self._retired:
            if engine is not None:
                engine.stop(wait=wait)

    # --- the audio thread -----------------------------------------------------------------------

    def process(
        self, block: NDArray[np.float32], out: NDArray[np.float32], wait_until_s: float = 0.0
    ) -> None:
        """As Engine.process; real-time safe. The latency is that of the plan of now."""
        if self._offered is not None:
            self._take_over(*self._offered)
        self._past.remember(block)
        if self._next is not None and len(block) > self.plan.hop:
            # As for the whole block in signal_path.py: a handover takes it in pieces.
            most_s = MOST_WAITED * len(block) / SAMPLE_RATE
            wait_until_s = max(wait_until_s, time.perf_counter() + most_s)
        done = 0
        while self._next is not None and done < len(block):
            done += self._hand_over(self._next, block[done:], out[done:], wait_until_s)
        if done < len(block):
            self._current.process(block[done:], out[done:], wait_until_s)
            self._count()

    def _take_over(self, engine: Engine, fed: int) -> None:
        """Feed `engine` what has come in since it was offered, and begin to hand over."""
        self._feed(engine, fed, self._past.taken, waiting=False)
        engine.continue_level(self._current)
        self._handover.begin()
        self._next = engine
        self._offered = None

    def _hand_over(
        self,
        engine: Engine,
        block: NDArray[np.float32],
        out: NDArray[np.float32],
        wait_until_s: float,
    ) -> int:
        """One piece of the handover, of the length that is returned."""
        count = self._handover.process(self._current, engine, block, out, wait_until_s)
        self._count()
        if self._handover.is_over:
            # What was counted while it was not heard is no part of the stream.
            self._counted.set_to(engine.counters)
            self._current, self._next = engine, None
        return count

    def _count(self) -> None:
        now = self._current.counters
        self.counters.add_rise(self._counted, now)
        self._counted.set_to(now)

    # --- changing the plan ----------------------------------------------------------------------

    def ask_for(self, name: str) -> None:
        """Go over to one of `offers`, soon; of several that are asked for meanwhile to the last.

        Raises UsageError where there is none of that name.
        """
        if name not in self.offers:
            raise UsageError(
                f"there is no plan {name!r} here: choose from {', '.join(self.offers)}"
            )
        self._wish.append(name)

    def take_wish(self) -> str | None:
        """The plan that was asked for since, if any was: the newest."""
        return self._wish.pop() if self._wish else None

    def change_plan(self, plan: StreamPlan, why: str, *, in_need: bool = True) -> None:
        """Go over to `plan`, which takes a moment: make an engine, bring it up to date, offer it.

        in_need: the machine does not keep up, so with a longer plan the nets of the old one stop at once
        and their masks are late from then on. Else they run until the new one is heard alone.
        Not while another change is going on; from one thread that is not the audio thread, unless
        nothing is paced. Raises RtsepError where the new workers fail or cannot follow.
        """
        self.let_go()
        old, engine = self._current, self._make_engine(plan)
        engine.mix = self.mix
        engine.start()
        fed = self._replay(old, engine, in_need)
        at_s = self._past.taken / SAMPLE_RATE
        change = {"at_s": at_s, "from": old.plan.name, "to": plan.name, "why": why}
        self._retired = old
        self.plan_changes.append(change)
        self._offered = (engine, fed)
        self._say(
            f"{why}: going from plan {old.plan.name} to {plan.name}, {plan.latency_ms:.0f} ms in "
            f"place of {old.plan.latency_ms:.0f}"
        )

    def let_go(self) -> bool:
        """End what is not heard any more once a change is over; whether one was."""
        if self.is_changing or self._retired is None:
            return False
        self._retired.stop()
        self._retired = None
        return True

    def _replay(self, old: Engine, engine: Engine, in_need: bool) -> int:
        """Bring `engine` to where `old` is by feeding it the past; the sample it was fed up to."""
        plan, hop = engine.plan, engine.plan.hop
        now = self._past.taken // hop
        # Whole strides since the start of the stream, and with them the hops' own borders.
        first = max(0, now - past_hops(plan)) // plan.stride * plan.stride
        engine.continue_level(old)
        # The frames that are no longer to be heard go by; their masks do not matter.
        fed = max(first, now - heard_hops(plan)) * hop
        self._feed(engine, first * hop, fed, waiting=False)
        if in_need and plan.latency_samples >= old.plan.latency_samples:
            old.stop()
        passes = 0
        while (until := self._past.taken // hop * hop) > fed:
            self._feed(engine, fed, until, waiting=passes < MOST_PASSES)
            fed = until
            passes += 1
        engine.wait_for_workers()
        return fed

    def _feed(self, engine: Engine, begin: int, end: int, *, waiting: bool) -> None:
        self._past.feed(engine, begin, end, self._unheard, waiting=waiting)

    @property
    def is_changing(self) -> bool:
        """Whether a new plan has been offered and is not heard alone yet."""
        return self._offered is not None or self._next is not None

    def _watch(self) -> None:
        try:
            watch_plans(self, self._stopping, self._say, self._ladder, self._on_judged)
        except BaseException as error:
            # Without the frames it passed through, which hold this engine.
            self.failure = error.with_traceback(None)

    # --- as an Engine ---------------------------------------------------------------------------

    @property
    def plan(self) -> StreamPlan:
        """The plan of now."""
        return self._current.plan

    @property
    def workers(self) -> list[Worker]:
        """The workers of now."""
        return self._current.workers

    @property
    def samples_to_hop(self) -> int:
        """As Engine.samples_to_hop."""
        return self._current.samples_to_hop

    def wait_for_workers(self, timeout_s: float = 60.0) -> None:
        """As Engine.wait_for_workers."""
        offered = self._offered
        engine = offered[0] if offered else self._next or self._current
        engine.wait_for_workers(timeout_s)

    def check(self) -> None:
        """As Engine.check; raises RtsepError where a change of plan has failed, too."""
        if self.failure is not None:
            raise RtsepError(f"the plan could not be changed: {self.failure!r}")
        self._current.check()

    def levels_dbfs(self) -> dict[str, float]:
        """As Engine.levels_dbfs."""
        return self._current.levels_dbfs()

    def stats(self) -> dict[str, Any]:
        """As Engine.stats, and `plan_changes`. Plan, deadline and worker_ms are those of now."""
        return {**super().stats(), "plan_changes": list(self.plan_changes)}
