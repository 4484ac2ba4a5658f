"""One stem's worker: waits for a window, runs the net, publishes the masks."""

from __future__ import annotations

import os
import sys
import threading
import time
from queue import SimpleQueue

import numpy as np

from rtsep.kernels.denormals import flush_denormals
from rtsep.models.rows import rows_for
from rtsep.models.unet import UNet, UNetState
from rtsep.plan import StreamPlan
from rtsep.realtime.double_buffer import FrameHistory, MaskSlots
from rtsep.realtime.stats import Durations

# Added to the niceness of the workers' threads: the audio thread goes first, but beside other busy
# programs they must keep their share.
NICENESS = 1


class Worker:
    """Runs one net, one window at a time, in a thread of its own.

    `submit` is called by the audio thread and never blocks; a window that arrives while another is
    computed replaces the ones still waiting, whose masks would come too late anyway.
    """

    def __init__(self, stem: str, net: UNet, plan: StreamPlan, history: FrameHistory, wake):
        self.stem, self.net, self.plan, self.history = stem, net, plan, history
        self.slots = MaskSlots(plan, net.config.bins)
        self.durations = Durations()
        self.failure: BaseException | None = None
        self._state = UNetState(plan.frames, net.config.bins)
        self._rows = rows_for(plan.frames, plan.rows.start, plan.rows.stop)
        shape = (plan.frames, 2, net.config.bins)
        # writer: the net; reader: `slots.write`, both in this worker's thread
        self._masks = np.zeros(shape, np.float32)
        # SimpleQueue: put never blocks and is re-entrant. Items: (run, gain), None to end.
        self._inbox: SimpleQueue[tuple[int, float] | None] = SimpleQueue()
        self._wake = wake
        self._thread = threading.Thread(target=self._work, name=f"rtsep {stem}", daemon=True)

    def warm_up(self) -> None:
        """Run the net once, so that nothing is compiled or first touched while playing."""
        # In a thread of its own: the caller keeps its denormals.
        flushing = threading.Thread(target=flush_denormals)
        flushing.start()
        flushing.join()
        self._state.run(self.net, np.zeros_like(self._state.input), self._masks)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def submit(self, run: int, gain: float) -> None:
        """The window of `run` is complete; `gain` is to be applied to what the net sees."""
        self._inbox.put((run, gain))

    def stop(self) -> None:
        """End the thread after the run it is in."""
        self._inbox.put(None)
        self._thread.join()

    def _work(self) -> None:
        _lower_priority()
        flush_denormals()
        try:
            while (job := self._newest_job()) is not None:
                begun = time.perf_counter()
                run, gain = job
                if self.history.copy_window(run, gain, self._state.input):
                    self._state.forward(self.net, self._masks, self._rows)
                    self.slots.write(run, self._masks[self.plan.rows])
                    self.durations.add(time.perf_counter() - begun)
                self._wake()
        except BaseException as error:
            self.failure = error
            self._wake()

    def _newest_job(self) -> tuple[int, float] | None:
        job = self._inbox.get()
        while job is not None and not self._inbox.empty():
            job = self._inbox.get()
        return job


def _lower_priority() -> None:
    """Let the audio thread go first, where threads have priorities of their own (Linux)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
