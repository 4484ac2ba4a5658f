"""The mix of a song's stems, sample by sample as the transport goes.

Where stems are missing they are waited for; but if every stem is to be heard as it is, they would add up
to the recording, and that is played.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.live.mixer import MixSettings
from rtsep.play.song import Song
from rtsep.play.transport import LOOP_FADE_SAMPLES, Loop, Span, Transport

# So much is read at once; gains go evenly from one value to the next meanwhile, 6 ms.
CHUNK_SAMPLES = 256
# After stems were missing, the sound goes on when so much is done.
_LEAST_AHEAD_SAMPLES = SAMPLE_RATE // 4
# Shown for silence.
FLOOR_DBFS = -120.0


class StemLevels:
    """Rms levels of the newest chunk, in dBFS. Writer: the rendering thread. Readers: any."""

    def __init__(self, stems: tuple[str, ...]):
        self._names = (*stems, "mix")
        self._mean_squares: tuple[float, ...] = (0.0,) * len(self._names)

    def note(self, stems: NDArray[np.float32], mix: NDArray[np.float32]) -> None:
        """Take a chunk: (samples, stems, 2) before the gains, and (samples, 2) as it is heard."""
        of_stems = np.mean(np.square(stems), axis=(0, 2)).tolist()
        self._mean_squares = (*of_stems, float(np.mean(np.square(mix))))

    def silence(self) -> None:
        """Nothing is heard."""
        self._mean_squares = (0.0,) * len(self._names)

    def dbfs(self) -> dict[str, float]:
        """Level by name of stem, and of ``mix``."""
        floor = 10 ** (FLOOR_DBFS / 10)
        return {
            name: float(10 * np.log10(max(mean_square, floor)))
            for name, mean_square in zip(self._names, self._mean_squares)
        }


class StemMix:
    """Reads the stems and mixes them. One user: the thread that renders.

    Parameters
    ----------
    song : Song
        Its `head` and `loop` follow the transport.
    transport : Transport
    mix : MixSettings
        Gains by stem, or bypass: every stem as it is.
    levels : StemLevels
    patient : bool
        Whether stems that are missing are waited for without a fade, as for a file.
    end : int, optional
        Where to end, by default where the song does.

    Attributes
    ----------
    waiting : bool
        Whether stems were missing at the last `read`.
    """

    def __init__(
        self,
        song: Song,
        transport: Transport,
        mix: MixSettings,
        levels: StemLevels,
        *,
        patient: bool = False,
        end: int | None = None,
    ):
        self.song, self.transport = song, transport
        self._mix, self._levels, self._patient, self._end = mix, levels, patient, end
        self._gains = self._target()
        self.waiting = self._fades_in = False
        self._follow()

    def read(self, count: int = CHUNK_SAMPLES) -> NDArray[np.float32] | None:
        """The next `count` samples, (samples, 2) float32, fewer at the song's end; None to wait."""
        spans = self._spans(count)
        if not self._may_go_on(spans):
            self.waiting = self._fades_in = True
            self._levels.silence()
            return None
        self.waiting = False
        parts = [self._read_span(span) for span in spans]
        self._follow()
        if not parts:
            return np.zeros((0, NET_CHANNELS), np.float32)
        stems = np.concatenate(parts) if len(parts) > 1 else parts[0]
        out = self._mixed(stems)
        if self._fades_in and not self._patient:
            out *= np.linspace(0, 1, len(out), dtype=np.float32)[:, np.newaxis]
        self._fades_in = False
        if not self._patient and not self._there(self._spans(count)):
            out *= np.linspace(1, 0, len(out), dtype=np.float32)[:, np.newaxis]
            self.waiting = self._fades_in = True
        self._levels.note(stems, out)
        return out

    def set_loop(self, loop: Loop | None) -> None:
        """Play another loop, or none; its end must not have been read."""
        self.transport.loop, self.transport.wrapped = loop, False
        self._follow()

    def read_before(self, count: int) -> NDArray[np.float32]:
        """What lies `count` samples before the position, (count, 2) float32, with the gains of now."""
        return self._mixed(self._read(self.transport.position - count, count))

    def _spans(self, count: int) -> list[Span]:
        end = self.song.length if self._end is None else self._end
        return self.transport.next_spans(count, end)

    def _may_go_on(self, spans: list[Span]) -> bool:
        if not self._there(spans):
            return False
        if not self.waiting or self._patient:
            return True
        return self._there(self._spans(_LEAST_AHEAD_SAMPLES))

    def _there(self, spans: list[Span]) -> bool:
        """Whether these can be read: their stems, or what those would add up to."""
        parts = [(span.begin, span.begin + span.count) for span in spans]
        parts += [(s.into, s.into + s.count) for s in spans if s.into is not None]
        return all(self._is_there(max(0, begin), max(0, end)) for begin, end in parts)

    def _is_there(self, begin: int, end: int) -> bool:
        if self.song.store.done.contains(begin, end):
            return True
        return self._is_the_recording() and self.song.has_recording(end)

    def _is_the_recording(self) -> bool:
        """Whether the stems are heard, and have been, as they are in the recording."""
        return bool(np.all(self._gains == 1) and np.all(self._target() == 1))

    def _read_span(self, span: Span) -> NDArray[np.float32]:
        """The stems of a span, (samples, stems, 2) float32."""
        stems = self._read(span.begin, span.count)
        if span.into is not None:
            rise = _LOOP_RISE[span.faded : span.faded + span.count]
            stems = (1 - rise) * stems + rise * self._read(span.into, span.count)
        self.transport.advance(span.count)
        return stems

    def _read(self, begin: int, count: int) -> NDArray[np.float32]:
        song = self.song
        if song.store.done.contains(max(0, begin), max(0, begin + count)):
            return song.store.read(begin, count)
        # As equal stems: they add up to it.
        stems = len(song.store.stems)
        part = song.recording(begin, count)[:, np.newaxis] / np.float32(stems)
        return np.broadcast_to(part, (count, stems, NET_CHANNELS))

    def _mixed(self, stems: NDArray[np.float32]) -> NDArray[np.float32]:
        """(samples, stems, 2) -> (samples, 2): the gains go evenly to those wanted now."""
        target = self._target()
        if np.array_equal(target, self._gains):
            mixed: NDArray[np.float32] = np.einsum("nsc,s->nc", stems, target)
            return mixed
        steps = np.arange(1, len(stems) + 1, dtype=np.float32) / np.float32(len(stems))
        gains = self._gains + steps[:, np.newaxis] * (target - self._gains)
        self._gains = target
        return np.einsum("nsc,ns->nc", stems, gains, dtype=np.float32)

    def _target(self) -> NDArray[np.float32]:
        return np.ones_like(self._mix.gains) if self._mix.bypass else self._mix.gains.copy()

    def _follow(self) -> None:
        self.song.head, self.song.loop = self.transport.position, self.transport.loop


# From 0 to 1, (LOOP_FADE_SAMPLES, 1, 1)
_LOOP_RISE = (
    0.5 - 0.5 * np.cos(np.pi * (np.arange(LOOP_FADE_SAMPLES) + 0.5) / LOOP_FADE_SAMPLES)
).astype(np.float32)[:, np.newaxis, np.newaxis]
