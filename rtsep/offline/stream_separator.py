"""A stream of blocks being separated, at any sample rate, in mono or stereo.

At rates other than 44.1 kHz resampling there and back changes what it passes, and removes what lies
above the lower rate's half. So that the stems add up to the input, every output that holds the
model's last stem, the one for everything else, is what the others leave of the input:

    input --+--> 44.1 kHz -> nets -> masks of the others -> back again --+--> the others
            |                                                            | -
            +----------------------- waits for them ---------------------+--> the rest
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.array_input import as_samples
from rtsep.dsp.channels import from_stereo, to_stereo
from rtsep.dsp.resample import StreamResampler
from rtsep.dsp.sample_queue import SampleQueue
from rtsep.errors import UsageError
from rtsep.offline.segments import SegmentSeparator

Stems = dict[str, NDArray[np.float32]]


class StreamSeparator:
    """A stream being separated. Made by `Separator.stream`; one user at a time.

    What comes out runs up to 512 frames (12 s) behind what goes in; in total it has as many samples,
    and the same as `Separator.separate` gives, whatever the lengths of the blocks. Threads and memory
    are released by `flush` and by `close`, at the end of a ``with`` block, and when nothing refers to
    the stream any more.

    Attributes
    ----------
    sample_rate : int
        Of the blocks, in Hz.
    channels : int
        Of the blocks, 1 or 2.

    Examples
    --------
    >>> with separator.stream(sample_rate, channels=2) as stream:
    ...     for block in blocks:
    ...         finished = stream.push(block)
    ...     rest = stream.flush()
    """

    def __init__(
        self,
        segments: SegmentSeparator,
        stems: Sequence[str],
        rests: Mapping[str, str],
        sample_rate: int,
        channels: int,
    ):
        self.sample_rate, self.channels = sample_rate, channels
        self._segments: SegmentSeparator | None = segments
        self._stems, self._rests = tuple(stems), dict(rests)
        self._to_net = StreamResampler(sample_rate, SAMPLE_RATE, channels)
        self._from_net = {
            name: StreamResampler(SAMPLE_RATE, sample_rate, channels) for name in segments.names
        }
        # What the rests are made of, until the stems made by masks are there.
        self._input = SampleQueue(channels)
        self._samples_in = 0
        self._samples_out = 0
        self._net_samples_in = 0
        self._net_samples_out = 0
        self._ended = "closed"

    def __enter__(self) -> StreamSeparator:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def push(self, block: ArrayLike) -> Stems:
        """Take the next samples; return what is finished of each stem (often nothing).

        Parameters
        ----------
        block : array_like
            (samples, channels), or (samples,) where there is one; any number of samples, of the types
            that `Separator.separate` takes.

        Returns
        -------
        dict of str to ndarray
            (samples, channels) float32 arrays, all of one length.

        Raises
        ------
        UsageError
            For another type or shape, where a sample is NaN, infinite or absurd, and after `flush` or
            `close`.
        """
        segments = self._open_segments()
        samples = as_samples(block, self.sample_rate, self.channels, self._samples_in)
        self._samples_in += len(samples)
        if self._rests:
            self._input.push(samples)
        return self._through_nets(segments, self._to_net.push(samples), last=False)

    def flush(self) -> Stems:
        """End the stream and return the rest of each stem.

        Returns
        -------
        dict of str to ndarray
            (samples, channels) float32 arrays, all of one length.

        Raises
        ------
        UsageError
            After another `flush` or `close`.
        """
        segments = self._open_segments()
        self._ended = "flushed"
        try:
            return self._through_nets(segments, self._to_net.flush(), last=True)
        finally:
            self.close()

    def close(self) -> None:
        """End the stream without the rest: release its threads and memory. Again: nothing."""
        if self._segments is not None:
            self._segments.close()
        self._segments = None
        self._from_net.clear()
        self._input = SampleQueue(self.channels)

    def _open_segments(self) -> SegmentSeparator:
        if self._segments is None:
            raise UsageError(f"this stream has been {self._ended}: begin a new one")
        return self._segments

    def _through_nets(
        self, segments: SegmentSeparator, block: NDArray[np.float32], last: bool
    ) -> Stems:
        self._net_samples_in += len(block)
        stems = segments.push(to_stereo(block))
        if last:
            missing = self._net_samples_in - self._net_samples_out
            stems = _extend(stems, _rest(segments, missing, stems))
        # The frames behind the end are computed for their overlap only.
        left = self._net_samples_in - self._net_samples_out
        stems = {name: part[:left] for name, part in stems.items()}
        self._net_samples_out += _length(stems)
        return self._to_source(stems, last)

    def _to_source(self, stems: Stems, last: bool) -> Stems:
        finished: Stems = {}
        for name, part in stems.items():
            resampler = self._from_net[name]
            out = resampler.push(from_stereo(part, self.channels))
            if last:
                out = np.concatenate([out, resampler.flush()])
                # Rounding there and back may differ by a sample from what came in.
                left = self._samples_in - self._samples_out
                out = np.pad(out[:left], ((0, max(0, left - len(out))), (0, 0)))
            finished[name] = np.ascontiguousarray(out)
        count = _length(finished)
        self._samples_out += count
        if self._rests:
            whole = self._input.take(count)
            for name, by_masks in self._rests.items():
                finished[name] = whole - finished[by_masks]
        return {name: finished[name] for name in self._stems}


def _rest(segments: SegmentSeparator, missing: int, stems: Stems) -> Stems:
    """Push silence until all that is missing has come out."""
    silence = np.zeros((segments.samples_per_segment, 2), np.float32)
    rest: Stems = {name: part[:0] for name, part in stems.items()}
    while _length(stems) + _length(rest) < missing:
        rest = _extend(rest, segments.push(silence))
    return rest


def _length(stems: Stems) -> int:
    return len(next(iter(stems.values())))


def _extend(first: Stems, second: Stems) -> Stems:
    return {name: np.concatenate([first[name], second[name]]) for name in first}
