"""A tile of a conv row: some pixels by NR channels, over a chunk of the weights.

The sums of a tile come from where they rest, in memory, and go back there or into the epilogue. They are
computed in vector registers, or, of pairs, in AMX's (micro_tiles.py).

Real-time safe: they allocate nothing, call nothing and validate nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from . import vector as v
from .blocking import WIDTH
from .micro import multiply_accumulate
from .micro_tiles import emit_matrix_sums, load_rests
from .records import Chunk, Image
from .vector_epilogue import store_epilogue


def _taps(
    builder: v.Builder,
    a: v.Value,
    x: Image,
    chunk: Chunk,
    b: v.Value,
    sums: list[list[v.Value]],
    kinds: tuple[bool, bool],
    ahead: tuple[v.Value, v.Value],
) -> list[list[v.Value]]:
    """Emit `multiply_accumulate` for each row of taps of the chunk; returns the new sums."""
    mr, nv = len(sums), len(sums[0])

    def tap(
        _t: v.Value, a_now: v.Value, b_now: v.Value, asked: v.Value, *acc: v.Value
    ) -> list[v.Value]:
        new, ends = multiply_accumulate(
            builder,
            a_now,
            (x.pixel_stride, v.int64(1)),
            chunk.steps,
            b_now,
            [list(acc[p * nv : (p + 1) * nv]) for p in range(mr)],
            kinds,
            (asked, ahead[1]),
        )
        a_next = v.advance(builder, a_now, x.row_stride)
        return [a_next, *ends, *(value for row in new for value in row)]

    starts = [a, b, ahead[0], *(value for row in sums for value in row)]
    ends = v.counted_loop(builder, "tap", chunk.taps, 1, starts, tap)[3:]
    return [ends[p * nv : (p + 1) * nv] for p in range(mr)]


def zeros_or_load(
    builder: v.Builder, zeros: v.Value, places: list[list[v.Value]]
) -> list[list[v.Value]]:
    """Emit vectors of zeros where `zeros` is true, else what stands at `places` [p][vector]."""
    entry = builder.block
    load, go_on = builder.append_basic_block("load"), builder.append_basic_block("go.on")
    builder.cbranch(zeros, go_on, load)
    builder.position_at_end(load)
    loaded = [[v.load(builder, at, WIDTH) for at in row] for row in places]
    builder.branch(go_on)
    builder.position_at_end(go_on)
    started = []
    for row in loaded:
        phis = [v.carried(builder, v.constant(0.0, WIDTH), entry) for _ in row]
        for phi, value in zip(phis, row):
            phi.add_incoming(value, load)
        started.append(phis)
    return started


class Places(NamedTuple):
    """Where a tile's pixels begin: addresses in the images, and where weights are asked for ahead.

    skip: None where none is wanted. rest: where sums rest; of float32 images the same as y.
    """

    x: v.Value
    y: v.Value
    ahead: v.Value
    skip: v.Value | None
    rest: v.Value | None

    @property
    def values(self) -> list[v.Value]:
        """Those of the places that there are, as a loop carries them."""
        return [place for place in self if place is not None]

    def with_values(self, values: Sequence[v.Value]) -> Places:
        """These places with other `values`."""
        left = iter(values)
        return Places(*(None if place is None else next(left) for place in self))


class Row(NamedTuple):
    """What the tiles of a row have in common.

    strides: from one pixel to the next, of `Places` (None for what does not go by pixels).
    kinds: whether x and the weights are pairs. first, last: of chunk.parts.
    epilogue, act: see store_epilogue.
    """

    nv: int
    kinds: tuple[bool, bool]
    x: Image
    chunk: Chunk
    weights: v.Value
    strides: Places
    first: v.Value
    last: v.Value
    epilogue: v.Value
    act: Any

    def end(self, builder: v.Builder, sums: list[list[v.Value]], at: Places) -> None:
        """Emit the epilogue of some pixels' sums."""
        skip = None if at.skip is None else (at.skip, self.strides.skip)
        output = at.y, self.strides.y
        store_epilogue(builder, sums, self.epilogue, self.act, skip, output, self.kinds[0])

    def moved(self, builder: v.Builder, at: Places, pixels: int) -> Places:
        """`at` some pixels further on."""

        def moved(place: v.Value | None, stride: v.Value | None) -> v.Value | None:
            if place is None or stride is None:
                return place
            return v.advance(builder, place, builder.mul(stride, v.int64(pixels)))

        return Places(*(moved(place, stride) for place, stride in zip(at, self.strides)))


def emit_vector_tile(
    builder: v.Builder, row: Row, height: int, at: Places, ahead: tuple[v.Value, v.Value]
) -> None:
    """Emit a tile in vector registers."""
    in_y = at.rest is None
    start, stride = (at.y, row.strides.y) if in_y else (at.rest, row.strides.rest)
    pixels = [v.advance(builder, start, builder.mul(stride, v.int64(p))) for p in range(height)]
    rests = [
        [v.advance(builder, pixel, v.int64(i * WIDTH)) for i in range(row.nv)] for pixel in pixels
    ]
    started = zeros_or_load(builder, row.first, rests)
    sums = _taps(builder, at.x, row.x, row.chunk, row.weights, started, row.kinds, ahead)
    with builder.if_else(row.last) as (ended, unended):
        with ended:
            row.end(builder, sums, at)
        with unended:
            for values, places in zip(sums, rests):
                for value, place in zip(values, places):
                    v.store(builder, value, place)


def emit_matrix_tile(
    builder: v.Builder, row: Row, height: int, at: Places, ahead: tuple[v.Value, v.Value]
) -> None:
    """Emit a tile in AMX's registers; its sums go to memory, and from there through the epilogue."""
    emit_matrix_sums(
        builder, height, row.nv, at.x, row.x, row.chunk, row.weights, at.rest, row.first, ahead
    )
    pixels = 4

    def end(_p: v.Value, *places: v.Value) -> list[v.Value]:
        now = at.with_values(places)
        row.end(builder, load_rests(builder, now.rest, pixels, row.nv), now)
        return row.moved(builder, now, pixels).values

    with builder.if_then(row.last):
        v.counted_loop(builder, "end", v.int64(height), pixels, at.values, end)
