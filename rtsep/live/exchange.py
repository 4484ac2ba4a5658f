"""What passes between the audio thread and the workers: frames one way, masks the other, and a bell.

    audio thread --FrameHistory--> workers --MaskSlots, Bell--> audio thread

Nobody waits for anybody, unless a plan without compute delay, or a file, waits for the bell. Frames
stand in a ring that is long enough for a window to stay whole until its masks are due: with the plan
`classic` it is the pair of 128-frame images that gives the design its name. Masks stand in slots with
a sequence number each; a reader that does not find the number it expects takes the masks for late.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.channels import NET_CHANNELS
from rtsep.dsp.stft import magnitudes
from rtsep.live.plans.plan import StreamPlan
from rtsep.system.memory import touched_zeros

NOT_WRITTEN = -1


class FrameHistory:
    """The newest frames of a stream. Writer: audio thread. Readers: audio thread and workers.

    Frame t stands in row t mod plan.history_frames.
    """

    def __init__(self, plan: StreamPlan, bins: int):
        self.plan = plan
        self.length = plan.history_frames
        all_bins = plan.frame_length // 2 + 1
        # (frames, channels, all bins) complex64; reader: audio thread
        self.spectra = touched_zeros((self.length, NET_CHANNELS, all_bins), np.complex64)
        # (frames, bins, channels) float32; readers: workers, audio thread
        self.magnitudes = touched_zeros((self.length, bins, NET_CHANNELS), np.float32)
        # (frames,) float32: the nets see magnitudes x net_gains; readers: workers
        self.net_gains = np.ones(self.length, np.float32)
        # Number of the newest frame whose rows may be in writing: published before they change.
        self.newest = -1

    def begin(self) -> int:
        """Number of the frame to be written now; its row is no longer the old frame's."""
        self.newest += 1
        return self.newest

    def row(self, frame: int) -> int:
        """Where `frame` stands."""
        return frame % self.length

    def finish(self, frame: int, net_gain: float) -> None:
        """The spectrum of `frame` is written: derive what the nets see, `net_gain` times as loud."""
        row = self.row(frame)
        magnitudes(self.spectra[row : row + 1], self.magnitudes[row : row + 1])
        self.net_gains[row] = net_gain

    def holds(self, first: int) -> bool:
        """Whether the frames from `first` on were still whole up to now."""
        return self.newest - self.length < max(first, 0)


class MaskSlots:
    """The masks of one net's newest runs. Writer: its worker. Reader: audio thread."""

    def __init__(self, plan: StreamPlan, stems: int, bins: int):
        self.count = plan.mask_slots
        # (slot, stems, frames heard of a run, channels, bins) float32
        shape = self.count, stems, plan.stride, NET_CHANNELS, bins
        self.masks = touched_zeros(shape, np.float32)
        self.runs = [NOT_WRITTEN] * self.count

    def write(self, run: int, masks: NDArray[np.float32]) -> None:
        """Publish the masks of `run`, (stems, stride, channels, bins) float32."""
        slot = run % self.count
        self.runs[slot] = NOT_WRITTEN
        self.masks[slot] = masks
        self.runs[slot] = run

    def read(self, run: int) -> NDArray[np.float32] | None:
        """The masks of `run`, whole until its slot's next run; None if they are not there."""
        slot = run % self.count
        return self.masks[slot] if self.runs[slot] == run else None


class Bell:
    """A flag that many raise and one waits for. Neither side ever holds a lock while it works.

    It is a lock used as a binary semaphore: held while nothing has happened. A condition variable
    would have the waiting thread stand behind whichever worker was put to sleep while notifying.
    """

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        """Something has happened. From any thread; never blocks."""
        with contextlib.suppress(RuntimeError):  # it is ringing already
            self._silent.release()

    def wait_for(self, done: Callable[[], bool], until_s: float) -> bool:
        """Wait, ring by ring, until `done()`; False where it is not by `until_s` of perf_counter.

        For one thread only. Whoever makes `done()` true must ring afterwards.
        """
        while not done():
            left_s = until_s - time.perf_counter()
            if left_s <= 0 or not self._silent.acquire(timeout=left_s):
                return done()
        return True
