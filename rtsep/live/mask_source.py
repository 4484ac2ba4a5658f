"""From the workers' masks to those of the outputs, frame by frame, late ones included.

With all nets running the outputs are the stems of the model, which share each bin by the ratio mask.
With independent nets the outputs are their stems, each with the mask of its own net, and
one more: all that these leave. Either way the outputs add up to the input.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from rtsep.dsp.channels import NET_CHANNELS
from rtsep.dsp.masking import own_masks, ratio_mask, softmax_across_stems
from rtsep.live import INDEPENDENT, RATIO
from rtsep.live.exchange import Bell, FrameHistory
from rtsep.live.stats import Counters
from rtsep.live.worker import Worker
from rtsep.nets.registry import ModelConfig
from rtsep.system.memory import touched_zeros

# Hops that the last masks are held for before the dry or muted signal takes over.
HOLD_HOPS = 8


class MaskSource:
    """The masks of one stream. One user: the audio thread.

    workers: those of the nets that run, each of which rings `bell` when it has finished a run or failed.
    stems: those whose masks count, in order: all of the model, or those whose nets are independent.
    on_late: see engine.Engine. extension: see dsp/masking.py.
    """

    def __init__(
        self,
        config: ModelConfig,
        workers: Sequence[Worker],
        stems: Sequence[str],
        history: FrameHistory,
        counters: Counters,
        bell: Bell,
        *,
        masking: str,
        on_late: str,
        extension: int,
    ):
        self._config, self._plan, self._masking = config, history.plan, masking
        self._workers, self._history, self._counters = workers, history, counters
        self._bell, self._on_late, self._extension = bell, on_late, extension
        all_bins = self._plan.frame_length // 2 + 1
        outputs = len(stems) + (1 if masking == INDEPENDENT else 0)
        # (outputs, channels, all bins) float32
        self.masks = touched_zeros((outputs, NET_CHANNELS, all_bins), np.float32)
        # Of each worker: (row of `_net_masks`, place among the worker's stems) of the masks that count.
        self._places = [
            [
                (row, worker.stems.index(stem))
                for row, stem in enumerate(stems)
                if stem in worker.stems
            ]
            for worker in workers
        ]
        self._net_masks = touched_zeros((len(stems), NET_CHANNELS, config.bins), np.float32)
        # A mask of its own would be clipped at 1, and a net alone gains nothing by it.
        underrated = config.underrated if masking == RATIO else ()
        self._weights = [
            np.float32(self._plan.underrated_weight if stem in underrated else 1) for stem in stems
        ]
        self._only = np.eye(outputs, dtype=bool)
        self._late_hops = 0
        self._have_masks = False

    def warm_up(self) -> None:
        """Do everything once that is done while playing."""
        self._share_bins(0)
        self.masks[:] = 0.0

    def are_there(self, run: int) -> bool:
        """Whether the masks of `run` are, or may never be, since a worker has failed or is stopped."""
        return all(
            worker.failure is not None or worker.has_stopped or worker.slots.read(run) is not None
            for worker in self._workers
        )

    def wait(self, run: int, until_s: float) -> None:
        """Wait for the masks of `run`, until `until_s` of perf_counter; not at all where that is over.

        The one place where the audio thread waits. Counts for how long.
        """
        now_s = time.perf_counter()
        if until_s > now_s and not self.are_there(run):
            self._bell.wait_for(lambda: self.are_there(run), until_s)
            self._counters.waited_s += time.perf_counter() - now_s

    def update(self, frame: int) -> None:
        """Bring `masks` up to date for `frame`: the nets', the held ones, or dry or mute."""
        run, row = self._plan.run_of(frame)
        late = False
        for worker, places in zip(self._workers, self._places):
            masks = worker.slots.read(run)
            if masks is None:
                late = True
            else:
                for to, stem in places:
                    np.multiply(masks[stem, row], self._weights[to], out=self._net_masks[to])
        if not late:
            self._late_hops = 0
            self._have_masks = True
            self._share_bins(frame)
            return
        self._counters.count_late_mask()
        self._late_hops += 1
        if not self._have_masks or self._late_hops > HOLD_HOPS:
            if self._on_late == "mute":
                self.masks[:] = 0.0
            elif self._on_late == "dry" or not self._have_masks:
                # Divided evenly, the outputs add up to the input.
                self.masks[:] = 1.0 / len(self.masks)

    def _share_bins(self, frame: int) -> None:
        if self._masking == INDEPENDENT:
            own_masks(self._net_masks, self._extension, self.masks)
            return
        nets = self._net_masks[:, np.newaxis]
        if self._config.output == "softmax":
            softmax_across_stems(nets)
        row = self._history.row(frame)
        magnitude = self._history.magnitudes[row : row + 1]
        for stem, only in enumerate(self._only):
            ratio_mask(
                nets, magnitude, only, self._plan.ratio_exponent, 0, 1, self._extension,
                self.masks[stem : stem + 1],
            )  # fmt: skip
