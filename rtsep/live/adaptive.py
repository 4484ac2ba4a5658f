"""An engine that changes to a longer plan by itself while the machine does not keep up.

    audio thread          A A A A A A A A A A A A A A A A A A|A+B|B B B B ...
    workers of A          . . . . . . . . . . . . .| (A holds its last masks)
    watching thread         load too high: | make B | replay the past into B | offer |

The next engine, B, is made, started and fed with the newest seconds of the input by a thread of its
own, until its output is what it would be had it run from the start. Then the audio thread, at the
beginning of a block, feeds it what is still missing, and fades over within a hop. A's nets stop while
B catches up, because both together are more than the machine can do.

What is heard jumps back by the difference of the two latencies: that much of the music repeats, also
in a recording, which has neither a gap nor anything missing. Both ends are music, a moment apart: the
fade's two gains, halves of a raised cosine, add up to 1, so that it never exceeds the louder of the
two, whether they are in phase or not, and has no corner that could be heard. (Gains of equal power
would be louder by up to 3 dB where tones are held, and clip.)

Plans only ever get longer: whether a shorter one would do again cannot be known without running it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.errors import RtsepError
from rtsep.live.engine import Engine
from rtsep.live.load_watch import LoadWatch, recent_runs_s
from rtsep.live.mixer import Mixable
from rtsep.live.past import Past, heard_hops, past_hops
from rtsep.live.plans.choice import slower_plan
from rtsep.live.plans.ladder import ladder_of
from rtsep.live.plans.plan import StreamPlan
from rtsep.live.stats import Counters, Durations
from rtsep.live.stream_figures import StreamFigures
from rtsep.live.worker import Worker

# How often the load is looked at, and how far the audio thread may run ahead of what is fed.
LOOK_S, MARGIN_S = 0.2, 4.0
# Times that what has come in meanwhile is fed with every mask waited for; the rest then is not.
MOST_PASSES = 8


class AdaptiveEngine(Mixable, StreamFigures):
    """A row of Engines as one LiveEngine: each has a longer plan than the one before.

    Parameters
    ----------
    make_engine : callable
        Makes one for a plan, always with the same outputs.
    plan : StreamPlan
        The first.
    say : callable
        Is told in a line what happens, by the watching thread.
    watching : bool
        Change by itself where the load is too high, and not only by `change_plan`.

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
    ):
        self._make_engine, self._say, self._watching = make_engine, say, watching
        # writer: audio thread, from then on; readers: all
        self._current = make_engine(plan)
        self.config, self.stems = self._current.config, self._current.stems
        self.masking, self.output_channels = self._current.masking, self._current.output_channels
        self.counters, self.callback_durations = Counters(), Durations()
        self.mix = self._current.mix  # shared by all engines
        self.plan_changes: list[dict[str, Any]] = []
        self.failure: BaseException | None = None

        hop = plan.hop
        self._ladder = ladder_of(self.config)
        longest_hops = max(past_hops(rung.plan) for rung in self._ladder)
        self._past = Past(longest_hops * hop + ceil(MARGIN_S * SAMPLE_RATE))
        # An engine and the sample it has been fed up to. writers: whoever changes the plan sets it,
        # the audio thread takes it away
        self._offered: tuple[Engine, int] | None = None
        # All below: writer and reader are the audio thread.
        self._next: Engine | None = None
        self._faded = 0
        phase = np.pi / 2 * (np.arange(hop, dtype=np.float64) + 0.5) / hop
        self._rise = np.sin(phase).astype(np.float32)[:, np.newaxis] ** 2
        self._fall = 1 - self._rise
        # Output of the next engine. writer: whoever feeds it, which is the audio thread once it has
        # been offered; reader: audio thread
        self._coming = np.zeros((hop, self.output_channels), np.float32)
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
        if self._watching:
            self._watcher = threading.Thread(target=self._watch, name="rtsep plans", daemon=True)
            self._watcher.start()

    def stop(self, *, wait: bool = True) -> None:
        """End the workers, and the watching; wait: until they have ended."""
        self._stopping.set()
        if wait and self._watcher is not None:
            self._watcher.join()
        for engine in (self._offered or (None,))[0], self._next, self._current:
            if engine is not None:
                engine.stop(wait=wait)

    # --- the audio thread -----------------------------------------------------------------------

    def process(self, block: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """As Engine.process; real-time safe. The latency is that of the plan of now."""
        if self._offered is not None:
            self._take_over(*self._offered)
        self._past.remember(block)
        done = 0
        while self._next is not None and done < len(block):
            done += self._fade(block[done:], out[done:])
        if done < len(block):
            self._current.process(block[done:], out[done:])
            self._count()

    def _take_over(self, engine: Engine, fed: int) -> None:
        """Feed `engine` what has come in since it was offered, and begin to fade."""
        self._feed(engine, fed, self._past.taken, waiting=False)
        engine.continue_level(self._current)
        self._faded = 0
        self._next = engine
        self._offered = None

    def _fade(self, block: NDArray[np.float32], out: NDArray[np.float32]) -> int:
        """One piece of the fade, of the length that is returned."""
        engine = self._next
        assert engine is not None
        count = min(len(block), len(self._rise) - self._faded)
        piece, coming = slice(self._faded, self._faded + count), self._coming[:count]
        self._current.process(block[:count], out[:count])
        self._count()
        engine.process(block[:count], coming)
        out[:count] *= self._fall[piece]
        coming *= self._rise[piece]
        out[:count] += coming
        self._faded += count
        if self._faded == len(self._rise):
            # What was counted while the past was replayed is no part of the stream.
            self._counted.set_to(engine.counters)
            self._current, self._next = engine, None
        return count

    def _count(self) -> None:
        now = self._current.counters
        self.counters.add_rise(self._counted, now)
        self._counted.set_to(now)

    # --- changing the plan ----------------------------------------------------------------------

    def change_plan(self, plan: StreamPlan, why: str) -> None:
        """Go over to `plan`, which takes a moment: make an engine, bring it up to date, offer it.

        Not while another change is going on; from one thread that is not the audio thread, unless
        nothing is paced. Raises RtsepError where the new workers fail or cannot follow.
        """
        old, engine = self._current, self._make_engine(plan)
        engine.mix = self.mix
        engine.start()
        fed = self._replay(old, engine)
        at_s = self._past.taken / SAMPLE_RATE
        change = {"at_s": at_s, "from": old.plan.name, "to": plan.name, "why": why}
        self._retired = old
        self.plan_changes.append(change)
        self._offered = (engine, fed)
        self._say(
            f"{why}: going from plan {old.plan.name} to {plan.name}, {plan.latency_ms:.0f} ms in "
            f"place of {old.plan.latency_ms:.0f}"
        )

    def _replay(self, old: Engine, engine: Engine) -> int:
        """Bring `engine` to where `old` is by feeding it the past; the sample it was fed up to."""
        plan, hop = engine.plan, engine.plan.hop
        now = self._past.taken // hop
        # Whole strides since the start of the stream, and with them the hops' own borders.
        first = max(0, now - past_hops(plan)) // plan.stride * plan.stride
        engine.continue_level(old)
        # The frames that are no longer to be heard go by; their masks do not matter.
        fed = max(first, now - heard_hops(plan)) * hop
        self._feed(engine, first * hop, fed, waiting=False)
        old.stop()
        passes = 0
        while (until := self._past.taken // hop * hop) > fed:
            self._feed(engine, fed, until, waiting=passes < MOST_PASSES)
            fed = until
            passes += 1
        engine.wait_for_workers()
        return fed

    def _feed(self, engine: Engine, begin: int, end: int, *, waiting: bool) -> None:
        self._past.feed(engine, begin, end, self._coming, waiting=waiting)

    def _watch(self) -> None:
        watched, watch, ended = None, LoadWatch(0, 0), False
        try:
            while not self._stopping.wait(LOOK_S):
                if self._offered is not None or self._next is not None:
                    continue
                self._retired = None
                engine, counters = self._current, self.counters
                if engine is not watched:
                    watched, watch = engine, LoadWatch(counters.hops, counters.late_masks)
                runs_s = recent_runs_s(engine)
                load = float(np.median(runs_s)) * 1000 / engine.plan.deadline_ms
                why = watch.note(counters.hops, counters.late_masks, load)
                if why is None:
                    continue
                run_ms = 1000 * float(np.percentile(runs_s, 90))
                plan = slower_plan(engine.plan, run_ms, self._ladder)
                if plan is not None:
                    self.change_plan(plan, why)
                elif not ended:
                    ended = True
                    self._say(f"{why}, and no plan is slower: going on with {engine.plan.name}")
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
