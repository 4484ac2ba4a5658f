"""A network on a window that slides: what the slide does not touch is kept from run to run.

Row r of level n stands for 2^n frames. Where the window moves by a multiple of 2^n frames, the rows of
that level are those of the run before, moved along: only rows that saw the window's edges, and so the
zeros beyond them or the frames extrapolated there, and the new ones need computing. A stream that moves
h frames at a time comes by 2^n / h positions that differ by less than 2^n frames, the time *phases*;
each has rows of its own.

    level n, one phase          row of the window
                                0    1                          clean       last
    run at frame b              edge |<------- kept ------------->|new|<-edge->|
    next run of the phase            edge |<------- kept ------------->|new|<-edge->|

The rows of a phase stand in a ring that is written twice, one half behind the other, so that any
window of it is contiguous and no row ever moves. Kept are the inputs of the convolutions and the skips
that the decoder reads. The masks are those of the whole net, bit for bit, because a row is computed the
same way whatever the range (see kernels/rtsep_kernels/conv.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.nets.buffers import LEVELS, make_buffers
from rtsep.nets.forward import Mirrors, NewFrames, Work, slide
from rtsep.nets.rows import clean_stops, rows_for
from rtsep.nets.unet import UNet, check_precision
from rtsep_kernels.precision import Precision
from rtsep_kernels.records import Image

KEPT_LEVELS = range(1, LEVELS)


class SlidingWindow(NamedTuple):
    """A window of T frames by F bins that moves by a stride, and what of it is wanted.

    Attributes
    ----------
    frames, bins : int
        T and F, multiples of 64.
    stride : int
        Frames from one run to the next.
    first, stop : int
        The rows of the window whose masks are wanted.
    extrapolated : int
        Frames at its end, behind the newest one, that are computed from those before
        (see forward.NewFrames).
    shift : int
        The net sees bin f + shift of the magnitudes in the place of bin f, silence beyond them.
    """

    frames: int
    bins: int
    stride: int
    first: int
    stop: int
    extrapolated: int = 0
    shift: int = 0

    @property
    def real_frames(self) -> int:
        """Frames of the window that have come in."""
        return self.frames - self.extrapolated


@dataclass
class _Rings:
    """How the rows of one level stand in one flat buffer, for all time phases.

    level: n. first_row: row of the window that is stored first. ring: rows of a phase. step: greatest
    frame count that divides the moves of the window and 2^n; 0 where nothing is kept.
    """

    level: int
    first_row: int
    ring: int
    step: int

    def __post_init__(self) -> None:
        phases = (1 << self.level) // self.step if self.step else 1
        self.rows = self.ring * phases * (2 if self.step else 1)

    def phase(self, start: int) -> int:
        """Number of the time phase of a window that begins with frame `start`."""
        return start % (1 << self.level) // self.step if self.step else 0

    def place(self, start: int) -> tuple[int, int]:
        """The buffer's row where the phase begins, and the row from there of the window's row 0."""
        if not self.step:
            return 0, -self.first_row
        row = ((start >> self.level) + self.first_row) % self.ring - self.first_row
        return self.phase(start) * 2 * self.ring, row

    def window(self, start: int, image: Image) -> Image:
        """The window that begins with frame `start`, of a level whose buffer `image` begins with."""
        row = sum(self.place(start))
        return image._replace(origin=image.origin + row * image.row_stride)


class SlidingState:
    """The buffers of one net that runs on a window that slides. One user at a time.

    Parameters
    ----------
    window : SlidingWindow
    precision : Precision
        Of the nets that are going to run, as in UNetState.

    Raises
    ------
    ValueError
        Unless the window's frames and bins are positive multiples of 64.
    """

    def __init__(self, window: SlidingWindow, precision: Precision = "f32"):
        self.window, self.precision = window, precision
        self._wanted = rows_for(window.frames, window.first, window.stop)
        self._clean = clean_stops(window.real_frames)
        # Rows of the decoder at level n are those that up 6 - n writes.
        skip_from = np.zeros(LEVELS, np.int64)
        for level in KEPT_LEVELS:
            skip_from[level - 1] = self._wanted[2 * LEVELS - 1 - level, 0]
        self._work = Work(self._wanted.copy(), np.zeros((LEVELS, 2), np.int64), skip_from)

        self._encoder_rings, self._decoder_rings = [], []
        for level in range(LEVELS):
            rings = _Rings(level, 0, window.frames >> level, self._step(level))
            self._encoder_rings.append(rings)
        for level in range(1, LEVELS + 1):
            step = self._encoder_rings[level].step if level < LEVELS else 0
            first_row = int(skip_from[level - 1])
            rows = (window.frames >> level) - first_row
            self._decoder_rings.append(_Rings(level, first_row, rows, step))
        # writers: the kernel `slide`, level by level; reader: the same. One thread.
        self._buffers = make_buffers(
            window.frames,
            window.bins,
            [rings.rows for rings in self._encoder_rings],
            [rings.rows for rings in self._decoder_rings],
            precision,
        )
        shape = LEVELS, 6
        self._mirrors = Mirrors(np.zeros(shape, np.int64), np.zeros(shape, np.int64))
        self.reset()

    def _step(self, level: int) -> int:
        stride = self.window.stride
        step = gcd(stride, 1 << level)
        first, stop = self._kept(level)
        return step if stop - first > stride // step else 0

    def _kept(self, level: int) -> tuple[int, int]:
        """Wanted rows of `level` that saw neither edge of the window nor an extrapolated frame."""
        if level == 0:
            return 0, self.window.real_frames
        first, stop = self._wanted[level - 1]
        return max(int(first), 1), min(int(stop), self._clean[level])

    def reset(self) -> None:
        """Forget everything: the next run computes whatever it needs."""
        # The first frame that is not yet taken in, and the last start of each [level][phase].
        self._filled: int | None = None
        self._visited: list[dict[int, int]] = [{} for _ in range(LEVELS)]

    def run(
        self,
        net: UNet,
        magnitudes: NDArray[np.float32],
        gains: NDArray[np.float32],
        start: int,
        masks: NDArray[np.float32],
    ) -> int:
        """Compute the wanted masks of the window that begins with frame `start`.

        Releases the GIL; allocates nothing that grows.

        Parameters
        ----------
        net : UNet
        magnitudes : (ring rows, F, 2) float32
            A ring, frame t in row t modulo its length; read from the newest frame that is already
            known on.
        gains : (ring rows,) float32
            One for each row of the ring.
        start : int
            May be negative (frames before the stream are silent) and grows from run to run; runs
            left out cost time, not exactness.
        masks : (T, 2, F) float32
            The wanted rows are written.

        Returns
        -------
        int
            The first frame that was read. If the ring was overwritten meanwhile: `reset`.

        Raises
        ------
        ValueError
            If the net is in bf16 and the state not, or the other way round.
        """
        check_precision(net, self.precision)
        known = start if self._filled is None else max(start, self._filled)
        stop = start + self.window.real_frames
        buffers = self._buffers._replace(
            encoder=self._windows(self._encoder_rings, start, self._buffers.encoder),
            decoder=self._windows(self._decoder_rings, start, self._buffers.decoder),
        )
        self._note(0, start, known - start, self.window.real_frames)
        for level in KEPT_LEVELS:
            self._choose_rows(level, start)
        window = self.window
        new = NewFrames(magnitudes, gains, known, stop, window.extrapolated, window.shift)
        slide(new, net.constants, buffers, self._work, self._mirrors, masks)
        self._filled = stop
        return known

    @staticmethod
    def _windows(rings: list[_Rings], start: int, images: tuple[Image, ...]) -> tuple[Image, ...]:
        return tuple(ring.window(start, image) for ring, image in zip(rings, images))

    def _choose_rows(self, level: int, start: int) -> None:
        """Settle which rows of `level` to compute, and which of them to keep."""
        rings = self._encoder_rings[level]
        if not rings.step:
            return
        wanted_first = self._wanted[level - 1, 0]
        first, kept_stop = self._kept(level)
        visited, phase = self._visited[level], rings.phase(start)
        before = visited.get(phase)
        if before is not None:
            first = max(first, kept_stop - (start - before >> level))
        visited[phase] = start
        # Row 0 has seen the zeros before the window: it is never kept, and computed apart.
        edge = wanted_first == 0 and first > 1
        self._work.edges[level - 1, 1] = int(edge)
        self._work.rows[level - 1, 0] = 0 if wanted_first == 0 and not edge else first
        self._note(level, start, first, kept_stop)

    def _note(self, level: int, start: int, first: int, stop: int) -> None:
        """Have rows `first` to `stop` - 1 of the window copied to the other half of the rings."""
        rings = self._encoder_rings[level]
        if not rings.step:
            return
        row_stride = self._buffers.encoder[level].row_stride
        phase_row, row = rings.place(start)
        at = phase_row * row_stride
        self._mirrors.encoder[level] = at, row_stride, rings.ring, row, first, stop
        if level > 0:
            rings = self._decoder_rings[level - 1]
            row_stride = self._buffers.decoder[level - 1].row_stride
            phase_row, row = rings.place(start)
            at, first = phase_row * row_stride, max(first, rings.first_row)
            self._mirrors.decoder[level - 1] = at, row_stride, rings.ring, row, first, stop

    def computed_rows(self) -> list[list[tuple[int, int]]]:
        """What the last run computed: of each layer in the order of unet.LAYERS, ranges of rows."""
        ranges = [[(int(first), int(stop))] for first, stop in self._work.rows]
        for layer, (first, stop) in enumerate(self._work.edges):
            if stop > first:
                ranges[layer].insert(0, (int(first), int(stop)))
        return ranges

    @property
    def phases(self) -> int:
        """Runs until every time phase has come by and only what a slide needs is computed."""
        return max((1 << r.level) // r.step if r.step else 1 for r in self._encoder_rings)

    @property
    def nbytes(self) -> int:
        """Memory held by the buffers, in bytes."""
        return self._buffers.nbytes
