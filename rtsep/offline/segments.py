"""The official pipeline on a stereo stream at 44.1 kHz, one segment of frames at a time.

    samples -> STFT -> magnitudes -> nets -> ratio masks x spectra -> inverse STFT -> overlap-add

A segment is what the nets are shown at once: T = 512 frames with Spleeter's (see kinds.py). Frame t of
the stream covers samples (t - 4) * hop to t * hop: one frame of zeros stands in front, as in Spleeter,
so that the first samples are covered by four frames like all others. Segments meet without overlap;
only the last three hops of overlap-add are carried from one to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import FRAME_LENGTH, HOP, SAMPLE_RATE
from rtsep.dsp.auto_level import NetworkLevel
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.dsp.masking import (
    OFFICIAL_EXPONENT,
    apply_mask,
    check_masks,
    own_mask,
    ratio_mask,
    softmax_across_stems,
)
from rtsep.dsp.stft import Analysis, Synthesis, magnitudes
from rtsep.dsp.windows import WindowPair, hann_pair
from rtsep.nets.kind import Net, State
from rtsep.nets.kinds import check_window, kind_of, net_name, nets_of
from rtsep.nets.registry import ModelConfig

# Frames per FFTW call: the batch of a stem (0.5 MB) stays in the second-level cache.
FFT_BATCH = 16


class SegmentSeparator:
    """Separates one stream, segment by segment.

    config: the model.  nets: those that compute its stems, in order (kinds.nets_of).
    outputs: name of each output and the stems whose masks are added up for it.
    extension: see masking.py.  frames: T.  jobs: threads at work.
    auto_level: show the nets a steady level (see dsp/auto_level.py); Spleeter itself does not.

    Raises UsageError where the nets do not take windows of so many frames.
    """

    def __init__(
        self,
        config: ModelConfig,
        nets: Sequence[Net],
        outputs: Mapping[str, Sequence[str]],
        extension: int,
        frames: int,
        jobs: int,
        auto_level: bool,
    ):
        check_window(config, frames)
        self.config, self.nets, self.extension, self.frames = config, nets, extension, frames
        windows = hann_pair(FRAME_LENGTH, HOP)
        all_bins = FRAME_LENGTH // 2 + 1
        self.samples_per_segment = frames * HOP
        self.tail = FRAME_LENGTH - HOP
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="rtsep")
        # A worker takes a state, runs a net in it, and gives it back.
        self._states: SimpleQueue[State] = SimpleQueue()
        for _ in range(min(jobs, len(nets))):
            self._states.put(kind_of(config).state(config, frames, nets[0].precision))
        # writer: `push` (caller's thread); reader: analysis. The last FRAME_LENGTH - HOP samples of
        # the segment before, then this segment's; at first the frame of zeros.
        self._samples = np.zeros((self.tail + self.samples_per_segment, NET_CHANNELS), np.float32)
        # Each writer fills its own half of the frames, or its own stem, between two joins.
        self._spectra = np.zeros((frames, NET_CHANNELS, all_bins), np.complex64)
        self._magnitudes = np.zeros((frames, config.bins, NET_CHANNELS), np.float32)
        masks = len(config.net_stems), frames, NET_CHANNELS, config.bins
        self._masks = np.zeros(masks, np.float32)
        # What each net writes: all masks, where one net computes them, else those of its stem.
        self._written = [self._masks] if kind_of(config).together else list(self._masks)
        self._auto_level = auto_level
        self._analysis = Analysis(windows, NET_CHANNELS, FFT_BATCH)
        self._outputs = [
            _Output(name, [stem in members for stem in config.stems], windows, len(self._samples))
            for name, members in outputs.items()
        ]
        self.begin()

    def begin(self) -> None:
        """Begin a new stream: what is kept from one segment to the next is as at the first."""
        self._samples.fill(0.0)
        # The zero frame in front of the stream leaves room for `tail` samples and one hop.
        self._filled = self.tail + HOP
        self._to_skip = FRAME_LENGTH
        self._level = NetworkLevel(HOP / SAMPLE_RATE) if self._auto_level else None
        for output in self._outputs:
            output.samples.fill(0.0)

    @property
    def names(self) -> list[str]:
        """Names of the outputs."""
        return [output.name for output in self._outputs]

    def push(self, samples: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Take the next samples, (samples, 2) float32; return what is finished of each output."""
        finished: dict[str, list[NDArray[np.float32]]] = {name: [] for name in self.names}
        while len(samples):
            taken = samples[: len(self._samples) - self._filled]
            self._samples[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            samples = samples[len(taken) :]
            if self._filled == len(self._samples):
                for name, part in self._segment().items():
                    finished[name].append(part)
        return {
            name: np.concatenate(parts) if parts else np.zeros((0, NET_CHANNELS), np.float32)
            for name, parts in finished.items()
        }

    def close(self) -> None:
        """End the worker threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _segment(self) -> dict[str, NDArray[np.float32]]:
        self._analyse()
        self._each(self._run_net, range(len(self.nets)))
        if self.config.output == "softmax":
            softmax_across_stems(self._masks)
        parts = self._each(self._synthesise, self._outputs)
        self._to_skip = max(0, self._to_skip - self.samples_per_segment)
        self._samples[: self.tail] = self._samples[-self.tail :]
        self._filled = self.tail
        return dict(zip(self.names, parts))

    def _analyse(self) -> None:
        self._analysis.transform(self._samples, self._spectra)
        magnitudes(self._spectra, self._magnitudes)
        if self._level is not None:
            for at in range(self.tail, len(self._samples), HOP):
                self._level.update(self._samples[at : at + HOP])
            self._magnitudes *= np.float32(self._level.gain)

    def _run_net(self, index: int) -> None:
        state = self._states.get()
        try:
            state.run(self.nets[index], self._magnitudes, self._written[index])
        finally:
            self._states.put(state)
        check_masks(self._written[index], net_name(nets_of(self.config)[index]))

    def _synthesise(self, output: _Output) -> NDArray[np.float32]:
        """Samples of this segment, (samples, 2) float32, less those before the stream's first."""
        for first in range(0, self.frames, FFT_BATCH):
            frames = min(FFT_BATCH, self.frames - first)
            if self.config.has_rest:
                own_mask(
                    self._masks, output.members, first, frames, self.extension, output.all_masks,
                    output.mask,
                )  # fmt: skip
            else:
                ratio_mask(
                    self._masks, self._magnitudes, output.members, OFFICIAL_EXPONENT, first, frames,
                    self.extension, output.mask,
                )  # fmt: skip
            apply_mask(self._spectra, first, frames, output.mask, output.synthesis.spectra)
            output.synthesis.add(output.samples, first, frames)
        finished = output.samples[: self.samples_per_segment][self._to_skip :].copy()
        output.samples[: self.tail] = output.samples[self.samples_per_segment :]
        output.samples[self.tail :] = 0.0
        return finished

    def _each(self, action: Callable, items: Sequence) -> list:
        return list(self._pool.map(action, items))


class _Output:
    """One output stem: its masks, its inverse transform, and its overlap-add.

    It does not know its separator: the two would hold each other in memory.
    """

    def __init__(self, name: str, members: Sequence[bool], windows: WindowPair, length: int):
        self.name = name
        self.members = np.array(members)
        self.synthesis = Synthesis(windows, NET_CHANNELS, FFT_BATCH)
        self.mask = np.zeros(self.synthesis.spectra.shape, np.float32)
        # writer and reader: own_mask, (stems, channels, bins) of one frame.
        self.all_masks = np.zeros((len(members), *self.mask.shape[1:]), np.float32)
        # writer and reader: the thread that runs `_synthesise`. Overlap-add of one segment and the
        # tail that reaches into the next.
        self.samples = np.zeros((length, NET_CHANNELS), np.float32)
