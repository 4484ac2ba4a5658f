"""From a song's stems to what is heard: mix, tempo and key, the device's rate. For player and export.

stems -> StemMix -> Stretcher -> resampler -> blocks
         gains,     where tempo  where the
         loop       or key are   rates differ
                    changed
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.dsp.resample import StreamResampler
from rtsep.play.song import Song
from rtsep.play.speed import Speed
from rtsep.play.stem_mix import CHUNK_SAMPLES, StemMix
from rtsep.play.stretcher import LONGEST_BLOCK, Stretcher


class Rendering:
    """What is heard of a song from one position on. One user: the thread that renders.

    Parameters
    ----------
    mix : StemMix
        At the position.
    speed : Speed
    rate : int
        Of the blocks that come out.
    before : ndarray, optional
        (samples, 2) float32 at `rate`, heard before the song: the count-in.

    Attributes
    ----------
    ended : bool
        Whether all of the song has come out.

    Raises
    ------
    MissingLibraryError
        Where tempo or key are changed and Rubber Band is not installed.
    """

    def __init__(
        self, mix: StemMix, speed: Speed, rate: int, before: NDArray[np.float32] | None = None
    ):
        self.mix, self.rate, self.ended = mix, rate, False
        self._before = np.zeros((0, NET_CHANNELS), np.float32) if before is None else before
        self._resampler = StreamResampler(SAMPLE_RATE, rate, NET_CHANNELS)
        self._samples_in = self._samples_out = 0
        self._stretcher = None if speed.is_plain else Stretcher(speed)
        self._led_in = self._stretcher is None

    @property
    def song(self) -> Song:
        """The song."""
        return self.mix.song

    @property
    def speed(self) -> Speed:
        """Tempo and pitch."""
        return Speed() if self._stretcher is None else self._stretcher.speed

    def change_speed(self, speed: Speed) -> bool:
        """Go on with another tempo or key; False where another Rendering is needed for that."""
        if self._stretcher is None:
            return speed.is_plain
        self._stretcher.speed = speed
        return not speed.is_plain

    @property
    def position(self) -> float:
        """Sample of the song that the next block begins with, about."""
        held = self._held_by_resampler()
        if self._stretcher is not None:
            held = held * self.speed.tempo_percent / 100 + self._stretcher.held_samples
        return self.mix.transport.before(held)

    def next_block(self) -> NDArray[np.float32] | None:
        """The next samples, (samples, 2) float32 at `rate`, maybe none; None to wait for stems."""
        if len(self._before):
            block, self._before = np.split(self._before, [CHUNK_SAMPLES])
            return block
        if self.ended:
            return np.zeros((0, NET_CHANNELS), np.float32)
        if not self._led_in:
            self._lead_in()
        chunk = self.mix.read()
        if chunk is None:
            return None
        if len(chunk) == 0:
            self.ended = True
            rest = chunk if self._stretcher is None else self._stretcher.process(chunk, last=True)
            return np.concatenate([self._resampled(rest), self._resampler.flush()])
        if self._stretcher is not None:
            chunk = self._stretcher.process(chunk)
        return self._resampled(chunk)

    def _resampled(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        out = self._resampler.push(chunk)
        self._samples_in += len(chunk)
        self._samples_out += len(out)
        return out

    def _held_by_resampler(self) -> float:
        """Samples at 44.1 kHz that have gone in and are not in the output yet."""
        return self._samples_in - self._samples_out * SAMPLE_RATE / self.rate

    def _lead_in(self) -> None:
        """Fill the stretcher with what lies before the position, which is not heard."""
        assert self._stretcher is not None
        self._led_in = True
        before = self.mix.read_before(self._stretcher.lead_in_samples)
        for at in range(0, len(before), LONGEST_BLOCK):
            self._stretcher.process(before[at : at + LONGEST_BLOCK])
