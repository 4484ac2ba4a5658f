"""The live engine: the signal flow of one stream, driven by blocks of any length.

    block in -> FIFO -> hop -> FFT -> history --window--> workers (one net each)
                                         |                    |
    block out <- FIFO <- overlap-add <- inverse FFT <- mix <- masks

`process` is the body of the audio callback. It never waits, and calls nothing but prepared FFT plans
and compiled kernels; a worker that is not ready in time is a counted state (see _masks_of).
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.channels import NET_CHANNELS
from rtsep.dsp.level import NetworkLevel, silence_nonfinite
from rtsep.dsp.masking import AVERAGE, ZEROS, ratio_mask, softmax_across_stems
from rtsep.dsp.mixing import mix_frame
from rtsep.dsp.stft import Analysis, Synthesis
from rtsep.errors import RtsepError, UsageError
from rtsep.models.registry import SAMPLE_RATE, ModelConfig
from rtsep.models.unet import UNet
from rtsep.plan import StreamPlan
from rtsep.realtime import ON_LATE
from rtsep.realtime.double_buffer import FrameHistory
from rtsep.realtime.levels import Levels
from rtsep.realtime.stats import Counters, Durations
from rtsep.realtime.worker import Worker

# Hops that the last masks are held for before the dry or muted signal takes over.
HOLD_HOPS = 8


class Engine:
    """One stereo stream at 44.1 kHz through the nets of one model.

    config, nets: the model and one net per stem. plan: see plan.py.
    gains: linear gain of each stem in the mix, by name; stems left out are silent.
    separate_stems: give out every stem after the mix, each on its own pair of channels.
    on_late: what is heard when masks are late: ``hold`` keeps the last ones, ``dry`` and ``mute`` do so
        for HOLD_HOPS hops and then pass the input or silence.
    auto_level: show the nets a steady level (see dsp/level.py).
    average_extension: continue the masks above the nets' bins with their mean, else with zero.

    Raises UsageError for an unknown stem or policy.
    """

    def __init__(
        self,
        config: ModelConfig,
        nets: Sequence[UNet],
        plan: StreamPlan,
        gains: Mapping[str, float],
        *,
        separate_stems: bool = False,
        on_late: str = "hold",
        auto_level: bool = True,
        average_extension: bool = True,
    ):
        if on_late not in ON_LATE:
            raise UsageError(f"on-late must be one of {', '.join(ON_LATE)}: got {on_late!r}")
        for stem in gains:
            if stem not in config.stems:
                raise UsageError(
                    f"{config.name} has no stem {stem!r}: choose from {', '.join(config.stems)}"
                )
        self.config, self.plan, self.on_late = config, plan, on_late
        self.counters, self.callback_durations = Counters(), Durations()
        # writer: whoever controls the mix; reader: audio thread
        self.gains = np.array([gains.get(stem, 0.0) for stem in config.stems], np.float32)
        self.bypass = False
        self._meters = Levels(config.stems, plan.windows)
        self._extension = AVERAGE if average_extension else ZEROS
        self._level = NetworkLevel(plan.hop / SAMPLE_RATE) if auto_level else None
        self._progress = threading.Condition()

        windows, stems = plan.windows, len(config.stems)
        self._synthesis_start = windows.synthesis_start
        self.history = FrameHistory(plan, config.bins)
        self.workers = [
            Worker(stem, net, plan, self.history, self._notify)
            for stem, net in zip(config.stems, nets)
        ]
        all_bins = plan.frame_length // 2 + 1
        # All below: writer and reader are the audio thread.
        self._recent = np.zeros((plan.frame_length, NET_CHANNELS), np.float32)
        self._analysis = Analysis(windows, NET_CHANNELS, 1)
        self._net_masks = np.zeros((stems, NET_CHANNELS, config.bins), np.float32)
        self._masks = np.zeros((stems, NET_CHANNELS, all_bins), np.float32)
        self._powers = np.zeros(stems, np.float32)
        self._only = np.eye(stems, dtype=bool)
        self._alone = np.eye(stems, dtype=np.float32)
        self._late_hops = 0
        self._have_masks = False
        outputs = 1 + (stems if separate_stems else 0)
        self._syntheses = [Synthesis(windows, NET_CHANNELS, 1) for _ in range(outputs)]
        self._overlap = np.zeros((outputs, plan.frame_length, NET_CHANNELS), np.float32)
        self.output_channels = outputs * NET_CHANNELS
        # One hop collected, one hop given out: the latency of any sequence of block sizes.
        self._hop_in = np.zeros((plan.hop, NET_CHANNELS), np.float32)
        self._hop_out = np.zeros((plan.hop, self.output_channels), np.float32)
        self._at = 0

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Compile, touch and start everything: nothing may be done for the first time later on."""
        for worker in self.workers:
            worker.warm_up()
        self._warm_up_hop()
        gc.collect()
        gc.freeze()
        for worker in self.workers:
            worker.start()

    def stop(self) -> None:
        """End the workers."""
        for worker in self.workers:
            worker.stop()
        gc.unfreeze()

    def _warm_up_hop(self) -> None:
        frame = self.history.begin()
        self._analyse(frame)
        self._net_masks[:] = 1.0
        self._mix(0)
        silence_nonfinite(self._hop_in)
        if self._level is not None:
            self._level.update(self._hop_in)
        self._overlap[:] = 0.0
        self._meters.note(self._powers, self._overlap[0, : self.plan.hop])
        self.history.newest = -1

    # --- the audio thread -----------------------------------------------------------------------

    def process(self, block: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Take a block and give as many samples, `plan.latency_samples` later.

        block: (samples, 2) float32; out: (samples, output_channels) float32, written. Any number of
        samples. Real-time safe.
        """
        begun = time.perf_counter()
        done = 0
        while done < len(block):
            count = min(len(block) - done, self.plan.hop - self._at)
            here, there = slice(done, done + count), slice(self._at, self._at + count)
            self._hop_in[there] = block[here]
            out[here] = self._hop_out[there]
            done += count
            self._at += count
            if self._at == self.plan.hop:
                self._on_hop()
                self._at = 0
        self.callback_durations.add(time.perf_counter() - begun)

    def _on_hop(self) -> None:
        if silence_nonfinite(self._hop_in):
            self.counters.nonfinite_blocks += 1
        gain = self._level.update(self._hop_in) if self._level is not None else 1.0
        self._recent[: -self.plan.hop] = self._recent[self.plan.hop :]
        self._recent[-self.plan.hop :] = self._hop_in

        frame = self.history.begin()
        self._analyse(frame)
        heard = frame - self.plan.delay_hops
        if heard >= 0:
            self._masks_of(heard)
            self._mix(heard)
        self._meters.note(self._powers, self._overlap[0, : self.plan.hop])
        self._overlap_add()
        self.counters.hops += 1
        # Last of all: a worker that wakes up takes a core, which may be this thread's.
        run = self.plan.run_after(frame)
        if run is not None:
            for worker in self.workers:
                worker.submit(run, gain)

    def _analyse(self, frame: int) -> None:
        row = self.history.row(frame)
        self._analysis.transform(self._recent, self.history.spectra[row : row + 1])
        self.history.finish(frame)

    def _masks_of(self, frame: int) -> None:
        """Bring `self._masks` up to date for `frame`: the nets', the held ones, or dry or mute."""
        run, row = self.plan.run_of(frame)
        late = False
        for i, worker in enumerate(self.workers):
            masks = worker.slots.read(run)
            if masks is None:
                late = True
            else:
                self._net_masks[i] = masks[row]
        if not late:
            self._late_hops = 0
            self._have_masks = True
            self._share_bins(frame)
            return
        self.counters.late_masks += 1
        self._late_hops += 1
        if not self._have_masks or self._late_hops > HOLD_HOPS:
            if self.on_late == "mute":
                self._masks[:] = 0.0
            elif self.on_late == "dry" or not self._have_masks:
                # Divided evenly, the stems add up to the input.
                self._masks[:] = 1.0 / len(self.workers)

    def _share_bins(self, frame: int) -> None:
        if self.config.output == "softmax":
            softmax_across_stems(self._net_masks[:, np.newaxis])
        row = self.history.row(frame)
        magnitude = self.history.magnitudes[row : row + 1]
        nets = self._net_masks[:, np.newaxis]
        for stem, only in enumerate(self._only):
            out = self._masks[stem : stem + 1]
            ratio_mask(nets, magnitude, only, 0, 1, self._extension, out)

    def _mix(self, frame: int) -> None:
        spectrum = self.history.spectra[self.history.row(frame)]
        mix = self._syntheses[0]
        mix_frame(spectrum, self._masks, self.gains, mix.spectra[0], self._powers)
        if self.bypass:
            mix.spectra[0] = spectrum
        for stem, synthesis in enumerate(self._syntheses[1:]):
            mix_frame(spectrum, self._masks, self._alone[stem], synthesis.spectra[0], self._powers)
        for synthesis, samples in zip(self._syntheses, self._overlap):
            synthesis.add(samples, 0, 1)

    def _overlap_add(self) -> None:
        hop, start = self.plan.hop, self._synthesis_start
        for i, samples in enumerate(self._overlap):
            finished = samples[start : start + hop]
            self._hop_out[:, i * NET_CHANNELS : (i + 1) * NET_CHANNELS] = finished
            samples[:-hop] = samples[hop:]
            samples[-hop:] = 0.0

    # --- other threads --------------------------------------------------------------------------

    def _notify(self) -> None:
        """A worker has finished a run or failed."""
        with self._progress:
            self._progress.notify_all()

    def wait_for_workers(self, timeout_s: float = 60.0) -> None:
        """Wait until every run submitted so far is finished: then no mask can be late.

        For files, which nobody paces: called before each hop, never by an audio callback. Raises
        RtsepError if a worker has failed or does not finish.
        """
        submitted = (self.history.newest + 1) // self.plan.stride - 1
        if submitted < 0:
            return

        def finished() -> bool:
            return all(
                worker.failure is not None or worker.slots.read(submitted) is not None
                for worker in self.workers
            )

        with self._progress:
            in_time = self._progress.wait_for(finished, timeout_s)
        self.check()
        if not in_time:
            raise RtsepError(f"the nets did not finish a window within {timeout_s:g} s")

    def check(self) -> None:
        """Raise RtsepError naming stem and cause if a worker has failed."""
        for worker in self.workers:
            if worker.failure is not None:
                raise RtsepError(f"the worker of {worker.stem} failed: {worker.failure!r}")

    def levels_dbfs(self) -> dict[str, float]:
        """Level of each stem before its gain, and of the ``mix`` as heard; see realtime/levels.py."""
        return self._meters.dbfs()

    def stats(self) -> dict:
        """What the stream has counted so far, as written by `--stats`; from any thread."""
        return {
            "latency_samples": self.plan.latency_samples,
            "hops": self.counters.hops,
            "late_masks": self.counters.late_masks,
            "nonfinite_blocks": self.counters.nonfinite_blocks,
            "xruns": dict(self.counters.xruns),
            "callback_ms": self.callback_durations.summary(),
            "worker_ms": {worker.stem: worker.durations.summary() for worker in self.workers},
            "deadline_ms": self.plan.deadline_ms,
            "plan": asdict(self.plan),
        }
