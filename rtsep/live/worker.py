"""One net's worker: waits for a window, runs the net, publishes the masks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import numpy as np

from rtsep.dsp.channels import NET_CHANNELS
from rtsep.dsp.masking import check_masks
from rtsep.live.exchange import FrameHistory, MaskSlots
from rtsep.live.plans.plan import StreamPlan
from rtsep.live.priority import WorkerPriority
from rtsep.live.stats import Durations
from rtsep.nets.kind import Net
from rtsep.nets.kinds import net_name
from rtsep.nets.views import SlidingViews
from rtsep_kernels.denormals import flush_denormals


class Worker:
    """Runs one net, one window at a time, in a thread of its own.

    stems: what the net computes, in its order.
    wake: called after each run, and where one has failed.

    `submit` is called by the audio thread and never blocks. Windows are taken in their order, as devices
    may complete several at once; those whose masks would only be heard before now are left out.
    """

    def __init__(
        self,
        stems: Sequence[str],
        net: Net,
        plan: StreamPlan,
        history: FrameHistory,
        wake: Callable[[], None],
    ):
        self.stems, self.stem = tuple(stems), net_name(stems)
        self.net, self.plan, self.history = net, plan, history
        self.slots = MaskSlots(plan, len(stems), net.config.bins)
        self.durations = Durations()
        # What the newest run took of a core's time. writer: this worker, before it publishes the masks
        self.own_s = 0.0
        self.failure: BaseException | None = None
        # Nobody need wait for its masks any more. writer: whoever stops it; reader: audio thread
        self.has_stopped = False
        self._views = SlidingViews(
            net.config,
            plan.views,
            plan.stride,
            plan.look_ahead,
            plan.extrapolated,
            net.precision,
        )
        # (stems, frames heard of a run, channels, bins) float32
        # writer: the views; reader: `slots.write`, both in this worker's thread
        self._masks = np.zeros((len(stems), plan.stride, NET_CHANNELS, net.config.bins), np.float32)
        # SimpleQueue: put never blocks and is re-entrant. Items: numbers of runs, None to end.
        self._inbox: SimpleQueue[int | None] = SimpleQueue()
        self._wake = wake
        # Made by `start`: a thread that has not run holds its worker, which would hold it.
        self._thread: threading.Thread | None = None

    def warm_up(self) -> None:
        """Run the net on the silence before the stream, once for every time phase.

        So nothing is compiled or first touched while playing, and the first runs of the stream find
        the rows that they keep (nets/sliding.py). Raises WeightsError where the net is damaged.
        """
        # In a thread of its own: the caller keeps its denormals.
        flushing = threading.Thread(target=flush_denormals)
        flushing.start()
        flushing.join()
        for run in range(-self._views.phases, 0):
            self._run(run)
        check_masks(self._masks, self.stem)

    def start(self) -> None:
        """Begin to work."""
        self.has_stopped = False
        self._thread = threading.Thread(target=self._work, name=f"rtsep {self.stem}", daemon=True)
        self._thread.start()

    def submit(self, run: int) -> None:
        """The window of `run` is complete."""
        self._inbox.put(run)

    def stop(self, *, wait: bool = True) -> None:
        """End the thread after the run it is in, and wait for that; nothing where it was not started."""
        self.has_stopped = True
        if self._thread is not None:
            self._inbox.put(None)
            if wait:
                self._thread.join()

    def _work(self) -> None:
        flush_denormals()
        try:
            priority = WorkerPriority(time.perf_counter())
            while (run := self._next_job(priority)) is not None:
                begun, own_begun = time.perf_counter(), time.thread_time()
                if self._run(run, priority.rest):
                    check_masks(self._masks, self.stem)
                    self.own_s = time.thread_time() - own_begun
                    self.slots.write(run, self._masks)
                    self.durations.add(time.perf_counter() - begun)
                else:
                    self._views.reset()
                self._wake()
        except BaseException as error:
            # Without the frames it passed through, which hold this worker and all its buffers.
            self.failure = error.with_traceback(None)
            self._wake()

    def _run(self, run: int, between: Callable[[], object] = lambda: None) -> bool:
        """Compute the masks of `run`; False if frames were overwritten while they were read."""
        history = self.history
        first_read = self._views.run(
            self.net,
            history.magnitudes,
            history.net_gains,
            self.plan.window_stop(run),
            self._masks,
            between,
        )
        return history.holds(first_read)

    def _next_job(self, priority: WorkerPriority) -> int | None:
        priority.look(time.perf_counter(), self._inbox.empty())
        job = self._inbox.get()
        while job is not None and self._is_past(job):
            job = self._inbox.get()
        return job

    def _is_past(self, run: int) -> bool:
        return self.plan.last_frame(run) < self.history.newest - self.plan.delay_hops
