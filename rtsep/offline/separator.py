"""Separation of recordings: whole arrays, or streams fed with blocks of any length.

The same signal path as Spleeter's own, so that its results are reached to the sample; the streaming
form gives exactly what the whole array gives, whatever the lengths of the blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.array_input import as_samples, check_rate
from rtsep.dsp.channels import check_channels
from rtsep.dsp.fft_wisdom import remembered_plans
from rtsep.dsp.masking import ZEROS
from rtsep.dsp.masking import mask_extension as find_mask_extension
from rtsep.environment import usable_cores
from rtsep.errors import UsageError
from rtsep.nets.kinds import kind_of
from rtsep.nets.precision import find_precision
from rtsep.nets.registry import stem_names
from rtsep.offline.segments import SegmentSeparator
from rtsep.offline.stream_separator import Stems, StreamSeparator
from rtsep.weights.download import ByteProgress
from rtsep.weights.library import model_named
from rtsep.weights.load_nets import load_nets
from rtsep.weights.shared_nets import shared_nets


class Separator:
    """A model, loaded and ready to separate any number of recordings.

    Parameters
    ----------
    model : str
        ``spleeter:2stems``, ``spleeter:4stems``, ``spleeter:5stems``, each also with the suffix
        ``-16kHz``, or a model of your own (docs/training.md). Weights that can be fetched are, if
        they are not there yet.
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
    precision : {'auto', 'f32', 'weights16', 'bf16'}, optional
        Of the nets: all in float32, weights in 16 bits, or weights and activations in bfloat16; ``auto``
        takes the fastest. By default the environment's RTSEP_PRECISION, else ``f32``, which agrees with
        Spleeter's pipeline to 115 dB.
    progress : callable, optional
        Called while weights are fetched, see rtsep.weights.download.
    shared : bool
        Map the packed networks from a file in the cache, so that all processes with the same model and
        precision hold them in memory once.

    Attributes
    ----------
    stems : tuple of str
        Names of what is given out.
    precision : str
        That of the nets.
    why_not_shared : str or None
        Why this process holds networks of its own although they were to be shared.

    Raises
    ------
    UsageError
        For an unknown name, and for a precision that the model or this processor has not.
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
        precision: str | None = None,
        progress: ByteProgress | None = None,
        shared: bool = False,
    ):
        self.model = model_named(model)
        names = stem_names(stems) or self.model.stems
        self._outputs = {name: self.model.members(name) for name in names}
        self._extension = find_mask_extension(mask_extension)
        if jobs is not None and jobs < 1:
            raise UsageError(f"jobs must be at least 1: got {jobs}")
        self.jobs = jobs or usable_cores()
        self.auto_level = auto_level
        self.precision = find_precision(precision, paced=False, config=self.model).precision
        self.why_not_shared: str | None = None
        if shared:
            loaded = shared_nets(self.model, progress, self.precision)
            self._nets, self.why_not_shared = loaded.nets, loaded.why_not
        else:
            self._nets = load_nets(self.model, progress, precision=self.precision)

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
        channels = check_channels(channels)
        return StreamSeparator(self._segments(masked), self.stems, rests, rate, channels)

    def _segments(self, masked: Mapping[str, Sequence[str]]) -> SegmentSeparator:
        """What computes the outputs that are made by masks, given with their stems, of one stream."""
        # The same plans as of all other processes of this machine: another plan rounds otherwise.
        with remembered_plans():
            return SegmentSeparator(
                self.model,
                self._nets,
                masked,
                self._extension,
                kind_of(self.model).frames,
                self.jobs,
                self.auto_level,
            )

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
    precision: str | None = None,
    progress: ByteProgress | None = None,
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
    model, stems, mask_extension, jobs, auto_level, precision, progress : optional
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
        precision=precision,
        progress=progress,
    )
    return separator.separate(audio, sample_rate)
