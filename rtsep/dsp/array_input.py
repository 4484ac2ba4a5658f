"""What a program hands in: arrays of samples and their rate, checked once and turned into float32."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsep.dsp.bad_samples import LIMIT
from rtsep.errors import UsageError

# Beyond this a rate is not one of sound, and resampling it would take all memory.
HIGHEST_RATE = 10**9
# Integer types that sound is kept in: what stands for zero, and how far full scale is from it.
_INTEGERS = {"int8": (0, 2**7), "uint8": (2**7, 2**7), "int16": (0, 2**15), "int32": (0, 2**31)}


def check_rate(rate: Any) -> int:
    """`rate` as an int; raises UsageError unless it is a whole number of Hz that sound may have."""
    number = isinstance(rate, numbers.Real) and not isinstance(rate, (bool, np.bool_))
    if not number or not 1 <= rate <= HIGHEST_RATE or rate != int(rate):
        raise UsageError(
            f"sample_rate must be a whole number of Hz from 1 to {HIGHEST_RATE}: got {rate!r}; "
            "give the rate that the audio was read at, such as 44100"
        )
    return int(rate)


def as_samples(
    audio: ArrayLike, rate: int, channels: int | None = None, first: int = 0
) -> NDArray[np.float32]:
    """`audio` as (samples, channels) float32, full scale at 1; the same array where it is one.

    audio: (samples,) for mono, or (samples, channels). Floats; or integers of 8, 16 or 32 bits,
        which are scaled by their type. rate: in Hz. channels: how many there must be; None for 1
        or 2. first: number of its first sample in the stream.

    Raises UsageError for another type or shape, and where a sample is NaN, infinite or absurd (see
    dsp/bad_samples.py), with its place.
    """
    samples = as_float32(audio, channels)
    # NaN makes both comparisons false.
    if samples.size and not (samples.min() >= -LIMIT and samples.max() <= LIMIT):
        row, side = np.argwhere(~(np.abs(samples) <= LIMIT))[0]
        value = np.reshape(audio, samples.shape)[row, side]
        raise UsageError(
            f"audio must be finite, and at most {LIMIT:g} where full scale is 1: sample {first + row} "
            f"({(first + row) / rate:.3f} s) is {value:g}; replace such samples first"
        )
    return samples


def as_float32(audio: ArrayLike, channels: int | None = None) -> NDArray[np.float32]:
    """As `as_samples`, but the values are not looked at."""
    try:
        source = np.asarray(audio)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"audio must be an array of numbers: {type(audio).__name__} cannot be made one ({error})"
        ) from None
    if source.ndim == 1:
        source = source[:, np.newaxis]
    _check_shape(source.shape, np.shape(audio), channels)
    return _scaled(source)


def _check_shape(shape: tuple[int, ...], given: tuple[int, ...], channels: int | None) -> None:
    allowed = (1, 2) if channels is None else (channels,)
    if len(shape) == 2 and shape[1] in allowed:
        return
    wanted = " or ".join(str(count) for count in allowed)
    remedy = ""
    if len(shape) == 2:
        if shape[0] in allowed:
            remedy = "; channels stand first here: hand in audio.T"
        elif shape[1] > 2:
            remedy = "; mix it down first"
    raise UsageError(f"audio must have the shape (samples, {wanted}): got {given}{remedy}")


def _scaled(source: NDArray[Any]) -> NDArray[np.float32]:
    if source.dtype.kind == "f":
        with np.errstate(over="ignore"):  # becomes infinite, and is refused with its value
            return source.astype(np.float32, copy=False)
    if source.dtype.name in _INTEGERS:
        zero, full_scale = _INTEGERS[source.dtype.name]
        samples = source.astype(np.float32)
        samples -= np.float32(zero)
        samples /= np.float32(full_scale)
        return samples
    raise UsageError(
        f"audio must be floats, or integers of the types {', '.join(_INTEGERS)}, whose full scale is "
        f"known: got {source.dtype.name}; convert it"
    )
