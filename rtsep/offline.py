"""Separation of recordings: whole arrays, or streams fed with blocks of any length.

The same signal path as Spleeter's own, so that its results are reached to the sample; the streaming
form gives exactly what the whole array gives, whatever the lengths of the blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsep.dsp.channels import check_channels, from_stereo, to_stereo
from rtsep.dsp.masking import mask_extension as find_mask_extension
from rtsep.dsp.resample import StreamResampler
from rtsep.errors import UsageError
from rtsep.machine import usable_cores
from rtsep.models.download import Progress
from rtsep.models.nets import load_nets
from rtsep.models.registry import OFFICIAL_FRAMES, SAMPLE_RATE, find_model
from rtsep.segments import SegmentSeparator


class Separator:
    """A model, loaded and ready to separate any number of recordings.

    model: ``spleeter:2stems``, ``spleeter:4stems``, ``spleeter:5stems``, each also with the suffix
        ``-16kHz``. Its weights are fetched if they are not there yet.
    stems: what to give out, by name: stems of the model, or ``no_`` and a stem for everything but
        that stem. None gives every stem of the model.
    mask_extension: above the nets' bandwidth, ``zeros`` (silence, Spleeter's default), ``average``
        (the mask's mean over frequency) or ``top`` (the mean of its top bins where that is less);
        with the latter two the stems add up to the recording.
    jobs: nets computed at the same time; None for one per processor core.
    auto_level: show the nets a steady level, which quiet recordings gain several dB from; off, as in
        Spleeter.
    progress: called while weights are fetched, see rtsep.models.download.

    Raises UsageError for an unknown name, WeightsError where the weights cannot be had.
    """

    def __init__(
        self,
        model: str = "spleeter:2stems",
        *,
        stems: Sequence[str] | None = None,
        mask_extension: str = "zeros",
        jobs: int | None = None,
        auto_level: bool = False,
        progress: Progress | None = None,
    ):
        self.model = find_model(model)
        self._outputs = {name: self.model.members(name) for name in stems or self.model.stems}
        self._extension = find_mask_extension(mask_extension)
        if jobs is not None and jobs < 1:
            raise UsageError(f"jobs must be at least 1: got {jobs}")
        self.jobs = jobs or usable_cores()
        self.auto_level = auto_level
        self._nets = load_nets(self.model, progress)

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of what is given out."""
        return tuple(self._outputs)

    def separate(self, audio: ArrayLike, sample_rate: int) -> dict[str, NDArray[np.float32]]:
        """Separate a whole recording.

        audio: (samples,) or (samples, 1 or 2), any real type, full scale at 1.
        Returns one (samples, channels) float32 array per stem, as long as the recording.
        Raises UsageError for another shape, or where a sample is not finite.
        """
        samples = np.asarray(audio, np.float32)
        if samples.ndim == 1:
            samples = samples[:, np.newaxis]
        if samples.ndim != 2:
            raise UsageError(f"audio must have the axes (samples, channels): got {samples.shape}")
        stream = self.stream(sample_rate, samples.shape[1])
        parts = stream.push(samples), stream.flush()
        return {name: np.concatenate([part[name] for part in parts]) for name in self.stems}

    def stream(self, sample_rate: int = SAMPLE_RATE, channels: int = 2) -> StreamSeparator:
        """Begin a stream of blocks, each (samples, `channels`) at `sample_rate` Hz."""
        segments = SegmentSeparator(
            self.model,
            self._nets,
            self._outputs,
            self._extension,
            OFFICIAL_FRAMES,
            self.jobs,
            self.auto_level,
        )
        return StreamSeparator(segments, sample_rate, channels)


class StreamSeparator:
    """A stream being separated. Made by Separator.stream; one user at a time.

    Output runs up to 512 frames (12 s) behind the input; in total it has as many samples.
    """

    def __init__(self, segments: SegmentSeparator, sample_rate: int, channels: int):
        self.sample_rate, self.channels = sample_rate, check_channels(channels)
        self._segments = segments
        self._to_net = StreamResampler(sample_rate, SAMPLE_RATE, channels)
        self._from_net = {
            name: StreamResampler(SAMPLE_RATE, sample_rate, channels) for name in segments.names
        }
        self._samples_in = 0
        self._samples_out = 0
        self._net_samples_in = 0
        self._net_samples_out = 0
        self._flushed = False

    def push(self, block: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Take the next samples; return what is finished of each stem (often nothing).

        block: (samples, channels) float32, any number of samples. Returns arrays of the same kind,
        all of one length. Raises UsageError for another shape or where a sample is not finite, and
        ValueError after `flush`.
        """
        if self._flushed:
            raise ValueError("this stream has been flushed: begin a new one")
        block = np.asarray(block, np.float32)
        if block.ndim != 2 or block.shape[1] != self.channels:
            raise UsageError(
                f"a block must have the shape (samples, {self.channels}): got {block.shape}"
            )
        if not np.isfinite(block).all():
            at = self._samples_in + int(np.argmin(np.isfinite(block).all(axis=1)))
            raise UsageError(
                f"audio must be finite: sample {at} ({at / self.sample_rate:.3f} s) is not;"
                " clean it"
            )
        self._samples_in += len(block)
        return self._through_nets(self._to_net.push(block), last=False)

    def flush(self) -> dict[str, NDArray[np.float32]]:
        """Return the rest of each stem, (samples, channels) float32, and end the stream."""
        if self._flushed:
            raise ValueError("this stream has been flushed already")
        self._flushed = True
        try:
            return self._through_nets(self._to_net.flush(), last=True)
        finally:
            self._segments.close()

    def _through_nets(self, block, last: bool) -> dict[str, NDArray[np.float32]]:
        self._net_samples_in += len(block)
        stems = self._segments.push(to_stereo(block))
        if last:
            missing = self._net_samples_in - self._net_samples_out
            stems = _extend(stems, self._rest(missing, stems))
        # The frames behind the end are computed for their overlap only.
        left = self._net_samples_in - self._net_samples_out
        stems = {name: part[:left] for name, part in stems.items()}
        self._net_samples_out += _length(stems)
        return self._to_source(stems, last)

    def _rest(self, missing: int, stems) -> dict[str, NDArray[np.float32]]:
        """Push silence until all that is missing has come out."""
        silence = np.zeros((self._segments.samples_per_segment, 2), np.float32)
        rest: dict[str, NDArray[np.float32]] = {name: part[:0] for name, part in stems.items()}
        while _length(stems) + _length(rest) < missing:
            rest = _extend(rest, self._segments.push(silence))
        return rest

    def _to_source(self, stems, last: bool) -> dict[str, NDArray[np.float32]]:
        finished = {}
        for name, part in stems.items():
            resampler = self._from_net[name]
            out = resampler.push(from_stereo(part, self.channels))
            if last:
                out = np.concatenate([out, resampler.flush()])
                # Rounding there and back may differ by a sample from what came in.
                left = self._samples_in - self._samples_out
                out = np.pad(out[:left], ((0, max(0, left - len(out))), (0, 0)))
            finished[name] = np.ascontiguousarray(out)
        self._samples_out += _length(finished)
        return finished


def _length(stems) -> int:
    return len(next(iter(stems.values())))


def _extend(first, second) -> dict[str, NDArray[np.float32]]:
    return {name: np.concatenate([first[name], second[name]]) for name in first}
