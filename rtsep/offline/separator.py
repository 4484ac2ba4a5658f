"""Separation of recordings: whole arrays, or streams fed with blocks of any length.

The same signal path as Spleeter's own, so that its results are reached to the sample; the streaming
form gives exactly what the whole array gives, whatever the lengths of the blocks.

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
from rtsep.dsp.array_input import as_samples, check_rate
from rtsep.dsp.channels import check_channels, from_stereo, to_stereo
from rtsep.dsp.masking import ZEROS
from rtsep.dsp.masking import mask_extension as find_mask_extension
from rtsep.dsp.resample import StreamResampler
from rtsep.dsp.sample_queue import SampleQueue
from rtsep.environment import usable_cores
from rtsep.errors import UsageError
from rtsep.nets.registry import OFFICIAL_FRAMES, find_model
from rtsep.offline.segments import SegmentSeparator
from rtsep.weights.download import Progress
from rtsep.weights.load_nets import load_nets

Stems = dict[str, NDArray[np.float32]]


class Separator:
    """A model, loaded and ready to separate any number of recordings.

    Parameters
    ----------
    model : str
        ``spleeter:2stems``, ``spleeter:4stems``, ``spleeter:5stems``, each also with the suffix
        ``-16kHz``. Its weights are fetched if they are not there yet.
    stems : sequence of str, optional
        What to give out, by name: stems of the model, or ``no_`` and a stem for everything but that
        stem. By default every stem of the model.
    mask_extension : {'zeros', 'average', 'top'}
        Above the nets' bandwidth: silence, Spleeter's default; the mask's mean over frequency; or the
        mean of its top bins where that is less. With the latter two the stems add up to the recording,
        at any sample rate.
    jobs : int, optional
        Nets computed at the same time; by default one per processor core.
    auto_level : bool
        Show the nets a steady level, which quiet recordings gain several dB from; off, as in Spleeter.
    progress : callable, optional
        Called while weights are fetched, see rtsep.weights.download.

    Attributes
    ----------
    stems : tuple of str
        Names of what is given out.

    Raises
    ------
    UsageError
        For an unknown name.
    WeightsError
        Where the weights cannot be had.

    Examples
    --------
    >>> separator = rtsep.Separator("spleeter:2stems")
    >>> stems = separator.separate(audio, sample_rate)
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
        if isinstance(stems, str):
            raise UsageError(f"stems must be a sequence of names: got {stems!r}; write [{stems!r}]")
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

    def separate(self, audio: ArrayLike, sample_rate: int) -> Stems:
        """Separate a whole recording.

        Parameters
        ----------
        audio : array_like
            (samples,) or (samples, 1 or 2), any number of samples. Floats, full scale at 1, or integers
            of 8, 16 or 32 bits, which are scaled by their type.
        sample_rate : int
            In Hz.

        Returns
        -------
        dict of str to ndarray
            One (samples, channels) float32 array per stem, as long as the recording.

        Raises
        ------
        UsageError
            For another type, shape or rate, and where a sample is NaN, infinite or absurd (see
            dsp/bad_samples.py).
        """
        samples = as_samples(audio, check_rate(sample_rate))
        with self.stream(sample_rate, samples.shape[1]) as stream:
            parts = stream.push(samples), stream.flush()
        return {name: np.concatenate([part[name] for part in parts]) for name in self.stems}

    def stream(self, sample_rate: int = SAMPLE_RATE, channels: int = 2) -> StreamSeparator:
        """Begin to separate a stream of blocks.

        Parameters
        ----------
        sample_rate : int
            Of the blocks, in Hz.
        channels : int
            Of the blocks, 1 or 2.

        Returns
        -------
        StreamSeparator
            To be used in a ``with`` statement, or closed.

        Raises
        ------
        UsageError
            Where these are impossible.
        """
        rate = check_rate(sample_rate)
        masked: dict[str, tuple[str, ...]] = self._outputs
        rests: dict[str, str] = {}
        if rate != SAMPLE_RATE and self._extension != ZEROS:
            masked, rests = self._masked_and_rests()
        segments = SegmentSeparator(
            self.model,
            self._nets,
            masked,
            self._extension,
            OFFICIAL_FRAMES,
            self.jobs,
            self.auto_level,
        )
        return StreamSeparator(segments, self.stems, rests, rate, check_channels(channels))

    def _masked_and_rests(self) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
        """The outputs to make by masks, with their stems, and which of these leaves which rest.

        Always the same for an output, whichever others are given out, so that its samples are, too.
        """
        last = self.model.stems[-1]
        masked = {name: stems for name, stems in self._outputs.items() if last not in stems}
        rests: dict[str, str] = {}
        for name in self._outputs:
            if name not in masked:
                others = tuple(s for s in self.model.stems if s not in self._outputs[name])
                by_masks = "+".join(others)
                masked[by_masks] = others
                rests[name] = by_masks
        return masked, rests


def separate(
    audio: ArrayLike,
    sample_rate: int,
    model: str = "spleeter:2stems",
    *,
    stems: Sequence[str] | None = None,
    mask_extension: str = "zeros",
    jobs: int | None = None,
    auto_level: bool = False,
    progress: Progress | None = None,
) -> Stems:
    """Separate a recording, in one call.

    For several recordings make a `Separator`: it loads the model once.

    Parameters
    ----------
    audio : array_like
        (samples,) or (samples, 1 or 2), any number of samples. Floats, full scale at 1, or integers of
        8, 16 or 32 bits, which are scaled by their type.
    sample_rate : int
        In Hz.
    model, stems, mask_extension, jobs, auto_level, progress : optional
        See `Separator`.

    Returns
    -------
    dict of str to ndarray
        One (samples, channels) float32 array per stem, as long as the recording.

    Raises
    ------
    UsageError
        For audio or an option that is impossible.
    WeightsError
        Where the weights cannot be had.

    Examples
    --------
    >>> vocals = rtsep.separate(audio, 44100)["vocals"]
    """
    separator = Separator(
        model,
        stems=stems,
        mask_extension=mask_extension,
        jobs=jobs,
        auto_level=auto_level,
        progress=progress,
    )
    return separator.separate(audio, sample_rate)


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
