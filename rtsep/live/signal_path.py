"""The signal path of one stream, which the audio thread walks: what the block diagram shows.

    block in -> FIFO -> hop -> FFT -> history --window--> workers (one net each)
                                         |                    |
    block out <- FIFO <- overlap-add <- inverse FFT <- mix <- masks

`process` is the body of the audio callback. It calls nothing but prepared FFT plans and compiled
kernels. It does not wait for masks, but for three cases: a plan without compute delay says so; one and
the same block completes a window and asks for its masks; the block is asked for ahead of time
(asked_ahead.py). A worker that is not ready in time is a counted state (see mask_source.py).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.auto_level import NetworkLevel
from rtsep.dsp.bad_samples import mend
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.dsp.masking import mix_frame
from rtsep.dsp.stft import Analysis, Synthesis
from rtsep.live.exchange import FrameHistory
from rtsep.live.mask_source import MaskSource
from rtsep.live.meters import Levels
from rtsep.live.mixer import MixSettings
from rtsep.live.plans.plan import MOST_WAITED, StreamPlan
from rtsep.live.stats import Counters
from rtsep.live.worker import Worker
from rtsep.system.memory import touched_zeros


class SignalPath:
    """From blocks to the mix and the stems. One user: the audio thread.

    history, source, workers: of one engine, which says who else reads and writes them. mix: gains and
        bypass, read once per hop. counters, meters: written here.
    separate_stems: give out each stem after the mix. auto_level: as for engine.Engine.
    """

    def __init__(
        self,
        plan: StreamPlan,
        history: FrameHistory,
        workers: Sequence[Worker],
        source: MaskSource,
        mix: MixSettings,
        counters: Counters,
        meters: Levels,
        *,
        separate_stems: bool,
        auto_level: bool,
    ):
        self._plan, self._history, self._workers, self._source = plan, history, workers, source
        self.mix, self._counters, self._meters = mix, counters, meters
        self._level = NetworkLevel(plan.hop / SAMPLE_RATE) if auto_level else None
        windows, stems = plan.windows, len(mix.gains)
        # All below: writer and reader are the audio thread.
        self._recent = touched_zeros((plan.frame_length, NET_CHANNELS), np.float32)
        self._analysis = Analysis(windows, NET_CHANNELS, 1)
        self._synthesis_start = windows.synthesis_start
        self._powers = np.zeros(stems, np.float32)
        self._only = np.eye(stems, dtype=np.float32)
        outputs = 1 + (stems if separate_stems else 0)
        self._syntheses = [Synthesis(windows, NET_CHANNELS, 1) for _ in range(outputs)]
        self._overlap = touched_zeros((outputs, plan.frame_length, NET_CHANNELS), np.float32)
        self.output_channels = outputs * NET_CHANNELS
        # One hop collected, one hop given out: the latency of any sequence of block sizes. The one
        # given out begins plan.mix_offset samples after the one collected.
        self._hop_in = touched_zeros((plan.hop, NET_CHANNELS), np.float32)
        self._hop_out = touched_zeros((plan.hop, self.output_channels), np.float32)
        # The last samples of the hop before: what bad ones at the start of a hop are continued from.
        self._last_in = np.zeros(NET_CHANNELS, np.float32)
        self._at = 0
        self._run_to_submit: int | None = None
        # Until when masks may be waited for: any, and those whose window this block has completed.
        self._wait_until_s = self._wait_within_until_s = 0.0
        self._newest_before = -1  # frame before this block

    @property
    def samples_to_hop(self) -> int:
        """Samples until the hop that is being collected is complete."""
        return self._plan.hop - self._at

    def process(
        self, block: NDArray[np.float32], out: NDArray[np.float32], wait_until_s: float = 0.0
    ) -> None:
        """Take a block and give as many samples, `plan.latency_samples` later.

        block: (samples, 2) float32; out: (samples, output_channels) float32, written. Any number of
        samples. Real-time safe. wait_until_s: as for engine.Engine.process.
        """
        self._wait_until_s = wait_until_s
        most_s = MOST_WAITED * len(block) / SAMPLE_RATE
        self._wait_within_until_s = max(wait_until_s, time.perf_counter() + most_s)
        self._newest_before = self._history.newest
        hop, mix_at = self._plan.hop, self._plan.mix_offset
        done = 0
        while done < len(block):
            # Not before a sample of it is asked for: until then its masks may still come.
            if self._at == mix_at:
                self._on_mix()
            count = min(len(block) - done, (mix_at if self._at < mix_at else hop) - self._at)
            here, there = slice(done, done + count), slice(self._at, self._at + count)
            at_out = (self._at - mix_at) % hop
            self._hop_in[there] = block[here]
            out[here] = self._hop_out[at_out : at_out + count]
            done += count
            self._at += count
            if self._at == hop:
                self._on_hop()
                self._at = 0
        self._submit()

    def _on_hop(self) -> None:
        self._submit()
        self._counters.count_bad_samples(mend(self._hop_in, self._last_in))
        net_gain = self._level.update(self._hop_in) if self._level is not None else 1.0
        _move_by_a_hop(self._recent, self._plan.hop)
        self._recent[-self._plan.hop :] = self._hop_in
        frame = self._history.begin()
        self._analyse(frame, net_gain)
        self._counters.hops += 1
        self._run_to_submit = self._plan.run_after(frame)

    def _submit(self) -> None:
        # As late as may be: a worker that wakes up takes a core, which may be this thread's.
        run, self._run_to_submit = self._run_to_submit, None
        if run is not None:
            for worker in self._workers:
                worker.submit(run)

    def _on_mix(self) -> None:
        heard = self._history.newest - self._plan.delay_hops
        if heard >= 0:
            self._wait_for(heard)
            self._source.update(heard)
            self._mix_frame(heard)
        self._meters.note(self._powers, self._overlap[0, : self._plan.hop])
        self._overlap_add()

    def _wait_for(self, frame: int) -> None:
        """Wait for the masks of `frame` where nothing else gives the nets a time."""
        plan = self._plan
        run, _ = plan.run_of(frame)
        if plan.compute_delay == 0 or plan.window_stop(run) - 1 > self._newest_before:
            self._submit()
            self._source.wait(run, self._wait_within_until_s)
        elif self._wait_until_s:
            self._submit()
            self._source.wait(run, self._wait_until_s)

    def _analyse(self, frame: int, net_gain: float) -> None:
        row = self._history.row(frame)
        self._analysis.transform(self._recent, self._history.spectra[row : row + 1])
        self._history.finish(frame, net_gain)

    def _mix_frame(self, frame: int) -> None:
        spectrum, masks = self._history.spectra[self._history.row(frame)], self._source.masks
        mix = self._syntheses[0]
        mix_frame(spectrum, masks, self.mix.gains, mix.spectra[0], self._powers)
        if self.mix.bypass:
            mix.spectra[0] = spectrum
        for only, synthesis in zip(self._only, self._syntheses[1:]):
            mix_frame(spectrum, masks, only, synthesis.spectra[0], self._powers)
        for synthesis, samples in zip(self._syntheses, self._overlap):
            synthesis.add(samples, 0, 1)

    def _overlap_add(self) -> None:
        hop, start = self._plan.hop, self._synthesis_start
        for i, samples in enumerate(self._overlap):
            finished = samples[start : start + hop]
            self._hop_out[:, i * NET_CHANNELS : (i + 1) * NET_CHANNELS] = finished
            _move_by_a_hop(samples, hop)
            samples[-hop:] = 0.0

    # --- before the stream ------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Do once, on silence, all that is done while playing."""
        frame = self._history.begin()
        self._analyse(frame, 1.0)
        self._source.warm_up()
        self._mix_frame(0)
        mend(self._hop_in, self._last_in)
        if self._level is not None:
            self._level.update(self._hop_in)
        self._overlap[:] = 0.0
        self._meters.note(self._powers, self._overlap[0, : self._plan.hop])
        self._history.newest = -1

    def continue_level(self, other: SignalPath) -> None:
        """Show the nets the level that `other` has come to, of the same stream."""
        if self._level is not None and other._level is not None:
            self._level.continue_from(other._level)


def _move_by_a_hop(samples: NDArray[np.float32], hop: int) -> None:
    """Move all hops but the first one place to the front.

    One by one: where source and target overlap NumPy allocates a copy.
    """
    for at in range(hop, len(samples), hop):
        samples[at - hop : at] = samples[at : at + hop]
