"""Tempo and key of a stream, by Rubber Band.

Its finer engine with the short window: 1280 samples (29 ms) of delay and half the work of the long
window, so that a loaded machine keeps up.
"""

from __future__ import annotations

import weakref

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.play.librubberband import (
    CHANNELS_TOGETHER,
    FINER_ENGINE,
    PITCH_CONSISTENT,
    REAL_TIME,
    SHORT_WINDOW,
    librubberband,
)
from rtsep.play.speed import Speed

_OPTIONS = REAL_TIME | FINER_ENGINE | SHORT_WINDOW | CHANNELS_TOGETHER | PITCH_CONSISTENT
# Most samples that one call takes.
LONGEST_BLOCK = 1024


class Stretcher:
    """A stretched stream, stereo at 44.1 kHz. One user: the thread that renders.

    Its first samples out stand for the first samples in, but for `lead_in_samples`, which come before
    and are not heard.

    Parameters
    ----------
    speed : Speed
        May be changed while the stream runs.

    Attributes
    ----------
    lead_in_samples : int
        How many samples the stream must be begun ahead of the first one to be heard.

    Raises
    ------
    MissingLibraryError
        Where Rubber Band is not installed.
    """

    def __init__(self, speed: Speed):
        self._ffi, self._lib = librubberband()
        self._state = self._lib.rubberband_new(
            SAMPLE_RATE, NET_CHANNELS, _OPTIONS, speed.time_ratio, speed.pitch_scale
        )
        weakref.finalize(self, self._lib.rubberband_delete, self._state)
        self._lib.rubberband_set_max_process_size(self._state, LONGEST_BLOCK)
        self._speed = speed
        self.lead_in_samples = int(self._lib.rubberband_get_preferred_start_pad(self._state))
        self._to_drop = int(self._lib.rubberband_get_start_delay(self._state))
        # Both (channels, samples) float32; writer and reader: the thread that renders.
        self._input = np.zeros((NET_CHANNELS, LONGEST_BLOCK), np.float32)
        self._output = np.zeros((NET_CHANNELS, 4 * LONGEST_BLOCK), np.float32)
        # Samples that have gone in beyond those that stand for what came out: about this many.
        self._taken, self._given = -float(self.lead_in_samples), 0.0

    @property
    def speed(self) -> Speed:
        """Tempo and pitch of what goes in from now on."""
        return self._speed

    @speed.setter
    def speed(self, speed: Speed) -> None:
        self._speed = speed
        self._lib.rubberband_set_time_ratio(self._state, speed.time_ratio)
        self._lib.rubberband_set_pitch_scale(self._state, speed.pitch_scale)

    @property
    def held_samples(self) -> int:
        """Samples of the input that have gone in and are not heard in the output yet."""
        return max(0, round(self._taken - self._given))

    def process(self, block: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32]:
        """Take the next samples; return what is ready.

        Parameters
        ----------
        block : (samples, 2) float32
            At most LONGEST_BLOCK samples.
        last : bool
            Whether the stream ends with it; then all the rest is returned.

        Returns
        -------
        (samples, 2) float32
            Maybe without a sample.
        """
        given = self._input[:, : len(block)]
        given[:] = block.T
        self._lib.rubberband_process(self._state, self._pointers(given), len(block), last)
        self._taken += len(block)
        parts = []
        while (ready := self._lib.rubberband_available(self._state)) > 0:
            room = self._output[:, : min(ready, self._output.shape[1])]
            got = self._lib.rubberband_retrieve(self._state, self._pointers(room), room.shape[1])
            part = room[:, :got].T
            dropped = min(self._to_drop, got)
            self._to_drop -= dropped
            parts.append(part[dropped:].copy())
        out = np.concatenate(parts) if parts else np.zeros((0, NET_CHANNELS), np.float32)
        self._given += len(out) / self._speed.time_ratio
        return out

    def _pointers(self, rows: NDArray[np.float32]) -> object:
        """One pointer for each channel, `float **`."""
        return [self._ffi.cast("float *", row.ctypes.data) for row in rows]
