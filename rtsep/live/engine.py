"""The live engine: the signal flow of one stream, driven by blocks of any length.

    block in -> FIFO -> hop -> FFT -> history --window--> workers (one net each)
                                         |                    |
    block out <- FIFO <- overlap-add <- inverse FFT <- mix <- masks

`process` is the body of the audio callback. It calls nothing but prepared FFT plans and compiled
kernels, and does not wait, unless a plan without compute delay says so; a worker that is not ready in
time is a counted state (see mask_source.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.auto_level import NetworkLevel
from rtsep.dsp.bad_samples import mend
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.dsp.masking import mask_extension as find_mask_extension
from rtsep.dsp.mixing import mix_frame
from rtsep.dsp.stft import Analysis, Synthesis
from rtsep.errors import RtsepError, UsageError
from rtsep.live import INDEPENDENT, ON_LATE, RATIO
from rtsep.live.bell import Bell
from rtsep.live.exchange import FrameHistory
from rtsep.live.mask_source import MaskSource
from rtsep.live.meters import Levels
from rtsep.live.plans.plan import MOST_WAITED, StreamPlan
from rtsep.live.stats import Counters, Durations
from rtsep.live.worker import Worker
from rtsep.nets.registry import ModelConfig
from rtsep.nets.unet import UNet


class Engine:
    """One stereo stream at 44.1 kHz through the nets of one model.

    config: the model. plan: see plan.py. nets: one per stem of the model, or of `independent`, in that
        order.
    independent: stems whose nets run without the others, each with the mask of its own net. All that
        they leave is one more output, which comes last in `stems`. None: all nets, and the ratio mask.
    gains: linear gain in the mix of each of `stems`, by name; those left out are silent.
    separate_stems: give out each of `stems` after the mix, on a pair of channels of its own.
    on_late: what is heard when masks are late: ``hold`` keeps the last ones, ``dry`` and ``mute`` do so
        for mask_source.HOLD_HOPS hops and then pass the input or silence.
    auto_level: show the nets a steady level (see dsp/auto_level.py).
    mask_extension: how the masks go on above the nets' bins, see dsp/masking.py.

    stems: what is given out, see ModelConfig.outputs. gains: (stems,) float32, to be written at any
    time by whoever controls the mix, as is bypass, which passes the input.

    Raises UsageError for an unknown stem, policy or extension, and where nets cannot run alone.
    """

    def __init__(
        self,
        config: ModelConfig,
        nets: Sequence[UNet],
        plan: StreamPlan,
        gains: Mapping[str, float],
        *,
        independent: Sequence[str] | None = None,
        separate_stems: bool = False,
        on_late: str = "hold",
        auto_level: bool = True,
        mask_extension: str = "top",
    ):
        if on_late not in ON_LATE:
            raise UsageError(f"on-late must be one of {', '.join(ON_LATE)}: got {on_late!r}")
        self.config, self.plan = config, plan
        self.stems = config.outputs(independent)
        self.masking = RATIO if independent is None else INDEPENDENT
        for stem in gains:
            if stem not in self.stems:
                raise UsageError(
                    f"{config.name} gives out no stem {stem!r}: choose from {', '.join(self.stems)}"
                )
        self.counters, self.callback_durations = Counters(), Durations()
        # writer: whoever controls the mix; reader: audio thread
        self.gains = np.array([gains.get(stem, 0.0) for stem in self.stems], np.float32)
        self.bypass = False
        self._meters = Levels(self.stems, plan.windows)
        self._level = NetworkLevel(plan.hop / SAMPLE_RATE) if auto_level else None
        self._bell = Bell()

        windows, stems = plan.windows, len(self.stems)
        self._synthesis_start = windows.synthesis_start
        self.history = FrameHistory(plan, config.bins)
        self.workers = [
            Worker(stem, net, plan, self.history, self._bell.ring)
            for stem, net in zip(independent or config.stems, nets, strict=True)
        ]
        self._source = MaskSource(
            config, self.workers, self.history, self.counters, self._bell,
            masking=self.masking, on_late=on_late, extension=find_mask_extension(mask_extension),
        )  # fmt: skip
        # All below: writer and reader are the audio thread.
        self._recent = np.zeros((plan.frame_length, NET_CHANNELS), np.float32)
        self._analysis = Analysis(windows, NET_CHANNELS, 1)
        self._powers = np.zeros(stems, np.float32)
        self._only = np.eye(stems, dtype=np.float32)
        outputs = 1 + (stems if separate_stems else 0)
        self._syntheses = [Synthesis(windows, NET_CHANNELS, 1) for _ in range(outputs)]
        self._overlap = np.zeros((outputs, plan.frame_length, NET_CHANNELS), np.float32)
        self.output_channels = outputs * NET_CHANNELS
        # One hop collected, one hop given out: the latency of any sequence of block sizes. The one
        # given out begins plan.mix_offset samples after the one collected.
        self._hop_in = np.zeros((plan.hop, NET_CHANNELS), np.float32)
        self._hop_out = np.zeros((plan.hop, self.output_channels), np.float32)
        # The last samples of the hop before: what bad ones at the start of a hop are continued from.
        self._last_in = np.zeros(NET_CHANNELS, np.float32)
        self._at = 0
        self._warm = False
        self._run_to_submit: int | None = None
        self._wait_until_s = 0.0

    # --- life -----------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Compile and touch everything: nothing may be done for the first time later on."""
        for worker in self.workers:
            worker.warm_up()
        self._warm_up_hop()
        self._warm = True

    def start(self) -> None:
        """Begin to work, warmed up."""
        if not self._warm:
            self.warm_up()
        for worker in self.workers:
            worker.start()

    def stop(self, *, wait: bool = True) -> None:
        """End the workers; wait: until they have ended. Again: nothing."""
        for worker in self.workers:
            worker.stop(wait=wait)

    def _warm_up_hop(self) -> None:
        frame = self.history.begin()
        self._analyse(frame, 1.0)
        self._source.warm_up()
        self._mix(0)
        mend(self._hop_in, self._last_in)
        if self._level is not None:
            self._level.update(self._hop_in)
        self._overlap[:] = 0.0
        self._meters.note(self._powers, self._overlap[0, : self.plan.hop])
        self.history.newest = -1

    # --- the audio thread -----------------------------------------------------------------------

    def process(self, block: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Take a block and give as many samples, `plan.latency_samples` later.

        block: (samples, 2) float32; out: (samples, output_channels) float32, written. Any number of
        samples. Real-time safe. Whoever calls it notes in `callback_durations` how long the whole
        callback took.
        """
        self._wait_until_s = time.perf_counter() + MOST_WAITED * len(block) / SAMPLE_RATE
        hop, mix_at = self.plan.hop, self.plan.mix_offset
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
        self.counters.count_bad_samples(mend(self._hop_in, self._last_in))
        gain = self._level.update(self._hop_in) if self._level is not None else 1.0
        self._recent[: -self.plan.hop] = self._recent[self.plan.hop :]
        self._recent[-self.plan.hop :] = self._hop_in
        frame = self.history.begin()
        self._analyse(frame, gain)
        self.counters.hops += 1
        self._run_to_submit = self.plan.run_after(frame)

    def _submit(self) -> None:
        # As late as may be: a worker that wakes up takes a core, which may be this thread's.
        run, self._run_to_submit = self._run_to_submit, None
        if run is not None:
            for worker in self.workers:
                worker.submit(run)

    def _on_mix(self) -> None:
        heard = self.history.newest - self.plan.delay_hops
        if heard >= 0:
            if self.plan.compute_delay == 0:
                self._submit()
                self._source.wait(heard, self._wait_until_s)
            self._source.update(heard)
            self._mix(heard)
        self._meters.note(self._powers, self._overlap[0, : self.plan.hop])
        self._overlap_add()

    def _analyse(self, frame: int, gain: float) -> None:
        row = self.history.row(frame)
        self._analysis.transform(self._recent, self.history.spectra[row : row + 1])
        self.history.finish(frame, gain)

    def _mix(self, frame: int) -> None:
        spectrum, masks = self.history.spectra[self.history.row(frame)], self._source.masks
        mix = self._syntheses[0]
        mix_frame(spectrum, masks, self.gains, mix.spectra[0], self._powers)
        if self.bypass:
            mix.spectra[0] = spectrum
        for only, synthesis in zip(self._only, self._syntheses[1:]):
            mix_frame(spectrum, masks, only, synthesis.spectra[0], self._powers)
        for synthesis, samples in zip(self._syntheses, self._overlap):
            synthesis.add(samples, 0, 1)

    def _overlap_add(self) -> None:
        hop, start = self.plan.hop, self._synthesis_start
        for i, samples in enumerate(self._overlap):
            finished = samples[start : start + hop]
            self._hop_out[:, i * NET_CHANNELS : (i + 1) * NET_CHANNELS] = finished
            samples[:-hop] = samples[hop:]
            samples[-hop:] = 0.0

    def continue_level(self, other: Engine) -> None:
        """Show the nets the level that `other` has come to, of the same stream."""
        if self._level is not None and other._level is not None:
            self._level.continue_from(other._level)

    # --- other threads --------------------------------------------------------------------------

    @property
    def samples_to_hop(self) -> int:
        """Samples until the hop that is being collected is complete."""
        return self.plan.hop - self._at

    def wait_for_workers(self, timeout_s: float = 60.0) -> None:
        """Wait until every run submitted so far is finished.

        For files, which nobody paces: called between blocks, never by an audio callback. No mask is
        late where no block reaches beyond `samples_to_hop`. Raises RtsepError if a worker has
        failed or does not finish.
        """
        submitted = (self.history.newest + 1) // self.plan.stride - 1
        until_s = time.perf_counter() + timeout_s
        in_time = submitted < 0 or self._bell.wait_for(
            lambda: self._source.are_there(submitted), until_s
        )
        self.check()
        if not in_time:
            raise RtsepError(f"the nets did not finish a window within {timeout_s:g} s")

    def check(self) -> None:
        """Raise RtsepError naming stem and cause if a worker has failed."""
        for worker in self.workers:
            failure = worker.failure
            if failure is not None:
                cause = str(failure) if isinstance(failure, RtsepError) else repr(failure)
                raise RtsepError(f"the worker of {worker.stem} failed: {cause}")

    @property
    def played_s(self) -> float:
        """Seconds of audio that have passed, in whole hops."""
        return self.counters.hops * self.plan.hop / SAMPLE_RATE

    @property
    def block_ms(self) -> float:
        """Mean time between two callbacks, in milliseconds; 0 before the first."""
        callbacks = self.callback_durations.count
        return 1000 * self.played_s / callbacks if callbacks else 0.0

    def levels_dbfs(self) -> dict[str, float]:
        """Level of each stem before its gain, and of the ``mix`` as heard; see live/meters.py."""
        return self._meters.dbfs()

    def stats(self) -> dict:
        """What the stream has counted so far, as written by `--stats`; from any thread."""
        return {
            "stems": list(self.stems),
            "ratio": self.masking == RATIO,
            "latency_samples": self.plan.latency_samples,
            "hops": self.counters.hops,
            "late_masks": self.counters.late_masks,
            "bad_samples": self.counters.bad_samples,
            "nonfinite_blocks": self.counters.nonfinite_blocks,
            "xruns": dict(self.counters.xruns),
            "callback_ms": self.callback_durations.summary(),
            "block_ms": self.block_ms,
            "worker_ms": {worker.stem: worker.durations.summary() for worker in self.workers},
            "deadline_ms": self.plan.deadline_ms,
            "plan": asdict(self.plan),
        }
