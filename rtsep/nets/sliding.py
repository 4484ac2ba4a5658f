"""A network on a window that slides: what the slide does not touch is kept from run to run.

Row r of level n stands for 2^n frames. Where the window moves by a multiple of 2^n frames, the rows of
that level are those of the run before, moved along: only rows that saw the window's edges, and so the
zeros beyond them or the frames presumed there, and the new ones need computing. A stream that moves h
frames at a time comes by 2^n / h positions that differ by less than 2^n frames, the time *phases*; each
has rows of its own.

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

import numpy as np
from numpy.typing import NDArray

from rtsep.nets.forward import slide
from rtsep.nets.rows import clean_stops, rows_for
from rtsep.nets.unet import LEVELS, UNet, decoder_plane, encoder_plane
from rtsep_kernels.conv import Plane
from rtsep_kernels.pack import aligned_zeros
from rtsep_kernels.thin import MASK_PADDING

KEPT_LEVELS = range(1, LEVELS)


@dataclass
class _Rings:
    """The rows of one level for all time phases, in one flat buffer.

    plane: of an image that begins with the buffer. level: n. first_row: row of the window that is
    stored first. ring: rows of a phase. step: greatest frame count that divides the moves of the
    window and 2^n; 0 where nothing is kept.
    """

    plane: Plane
    level: int
    first_row: int
    ring: int
    step: int

    def __post_init__(self):
        phases = (1 << self.level) // self.step if self.step else 1
        self.rows = self.ring * phases * (2 if self.step else 1)

    def phase(self, start: int) -> int:
        """Number of the time phase of a window that begins with frame `start`."""
        return start % (1 << self.level) // self.step if self.step else 0

    def place(self, start: int) -> tuple[int, int]:
        """Where the phase begins in the buffer, and the row there of the window's row 0."""
        if not self.step:
            return 0, -self.first_row
        at = self.phase(start) * 2 * self.ring * self.plane.row_stride
        return at, ((start >> self.level) + self.first_row) % self.ring - self.first_row

    def window(self, start: int) -> Plane:
        """The window that begins with frame `start`, as an image."""
        at, row = self.place(start)
        return self.plane._replace(origin=self.plane.origin + at + row * self.plane.row_stride)


class SlidingState:
    """The buffers of one net that runs every `stride` frames. One user at a time.

    frames, bins: T and F, multiples of 64. stride: h. first, stop: the rows of a window whose masks are
    wanted. presumed: how many of the T rows are made up, behind the newest frame (see forward.slide).
    """

    def __init__(
        self, frames: int, bins: int, stride: int, first: int, stop: int, presumed: int = 0
    ):
        self.frames, self.bins, self.presumed = frames, bins, presumed
        self._real_frames = frames - presumed
        self._wanted = rows_for(frames, first, stop)
        self._clean = clean_stops(self._real_frames)
        self._rows, self._edges = self._wanted.copy(), np.zeros((LEVELS, 2), np.int64)
        # Rows of the decoder at level n are those that up 6 - n writes.
        self._skip_from = np.zeros(LEVELS, np.int64)
        for level in KEPT_LEVELS:
            self._skip_from[level - 1] = self._wanted[2 * LEVELS - 1 - level, 0]

        self._encoder_rings, self._decoder_rings = [], []
        for level in range(LEVELS):
            step = self._step(level, stride)
            rows = frames >> level
            self._encoder_rings.append(_Rings(encoder_plane(level, bins), level, 0, rows, step))
        for level in range(1, LEVELS + 1):
            step = self._encoder_rings[level].step if level < LEVELS else 0
            first_row = int(self._skip_from[level - 1])
            rows = (frames >> level) - first_row
            plane = decoder_plane(level, bins)
            self._decoder_rings.append(_Rings(plane, level, first_row, rows, step))
        # writers: the kernel `slide`, level by level; reader: the same. One thread.
        self._encoder = tuple(
            aligned_zeros(rings.rows * rings.plane.row_stride + rings.plane.pixel_stride)
            for rings in self._encoder_rings
        )
        # One row of zeros more for the thin kernel.
        self._decoder = tuple(
            aligned_zeros((rings.rows + 1) * rings.plane.row_stride)
            for rings in self._decoder_rings
        )
        self._zero_row = self._decoder_rings[0].rows * self._decoder_rings[0].plane.row_stride
        row_stride = bins + 2 * MASK_PADDING
        self._last = aligned_zeros(frames * row_stride)
        self._last_plane = Plane(MASK_PADDING, row_stride, 1)
        self._scratch = np.zeros((2, bins), np.float32)
        # [level] (start, row stride, ring rows, row of the window's row 0, first, stop)
        self._encoder_mirrors = np.zeros((LEVELS, 6), np.int64)
        self._decoder_mirrors = np.zeros((LEVELS, 6), np.int64)
        for buffer in (*self._encoder, *self._decoder, self._last):
            buffer.fill(0.0)  # touches every page before the sound starts
        self.reset()

    def _step(self, level: int, stride: int) -> int:
        step = gcd(stride, 1 << level)
        first, stop = self._kept(level)
        return step if stop - first > stride // step else 0

    def _kept(self, level: int) -> tuple[int, int]:
        """Wanted rows of `level` that saw neither edge of the window nor a presumed frame."""
        if level == 0:
            return 0, self._real_frames
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

        magnitudes: ring of (frames, bins, 2) float32, frame t in row t modulo its length; read from
            the newest frame that is already known on. gains: float32, one for each of its rows.
        start: may be negative (frames before the stream are silent) and grows from run to run; runs
            left out cost time, not exactness.
        masks: (frames, 2, bins) float32, the wanted rows are written.
        Returns the first frame that was read. If the ring was overwritten meanwhile: `reset`.
        Releases the GIL; allocates nothing that grows.
        """
        known = start if self._filled is None else max(start, self._filled)
        encoder_planes = tuple(rings.window(start) for rings in self._encoder_rings)
        decoder_planes = tuple(rings.window(start) for rings in self._decoder_rings)
        self._note(0, start, known - start, self._real_frames)
        for level in KEPT_LEVELS:
            self._choose_rows(level, start)
        slide(
            magnitudes, gains, known, start + self._real_frames, self.presumed, self.frames,
            self.bins, self._encoder, encoder_planes, self._decoder, decoder_planes,
            self._zero_row, self._last, self._last_plane, self._scratch, *net.constants, masks,
            self._rows, self._edges, self._skip_from, self._encoder_mirrors,
            self._decoder_mirrors,
        )  # fmt: skip
        self._filled = start + self._real_frames
        return known

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
        self._edges[level - 1, 1] = int(edge)
        self._rows[level - 1, 0] = 0 if wanted_first == 0 and not edge else first
        self._note(level, start, first, kept_stop)

    def _note(self, level: int, start: int, first: int, stop: int) -> None:
        """Have rows `first` to `stop` - 1 of the window copied to the other half of the rings."""
        rings = self._encoder_rings[level]
        if not rings.step:
            return
        at, row = rings.place(start)
        self._encoder_mirrors[level] = at, rings.plane.row_stride, rings.ring, row, first, stop
        if level > 0:
            rings = self._decoder_rings[level - 1]
            at, row = rings.place(start)
            first = max(first, rings.first_row)
            self._decoder_mirrors[level - 1] = (
                at, rings.plane.row_stride, rings.ring, row, first, stop
            )  # fmt: skip

    def computed_rows(self) -> list[list[tuple[int, int]]]:
        """What the last run computed: of each layer in the order of unet.LAYERS, ranges of rows."""
        ranges = [[(int(first), int(stop))] for first, stop in self._rows]
        for layer, (first, stop) in enumerate(self._edges):
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
        return sum(b.nbytes for b in (*self._encoder, *self._decoder, self._last, self._scratch))
