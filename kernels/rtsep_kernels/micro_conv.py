"""The micro-kernels of the convolutions: a row of pixels by NR channels, as tiles of MR pixels.

A is the image, read in place, B a chunk of a packed panel; the sums of a chunk rest in memory or end in
the epilogue. One kernel for float32 and for pairs (see products.py); of pairs, AMX's tiles compute what
they can (micro_tiles.py).

Real-time safe: they allocate nothing, call nothing and validate nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import types
from numba.extending import intrinsic

from . import vector as v
from .blocking import (
    FIRST,
    LAST,
    MATRIX_HEIGHTS,
    MATRIX_STEPS,
    TILE_HEIGHTS,
    UNROLL,
    WIDTH,
)
from .micro import multiply_accumulate
from .micro_tiles import emit_matrix_tile, load_rests
from .products import is_pairs
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


def _is_set(builder: v.Builder, flags: v.Value, flag: int) -> v.Value:
    return builder.icmp_signed("!=", builder.and_(flags, v.int64(flag)), v.int64(0))


def _zeros_or_load(
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


def _fits(builder: v.Builder, left: v.Value, index: int) -> v.Value:
    """Whether the next tile of a row with `left` pixels has the height TILE_HEIGHTS[index].

    The tallest tile is not used where it would leave a rest too small for the next.
    """
    height = TILE_HEIGHTS[index]
    if index > 0:
        return builder.icmp_signed(">=", left, v.int64(height))
    exact = builder.icmp_signed("==", left, v.int64(height))
    both = v.int64(height + TILE_HEIGHTS[1])
    return builder.or_(exact, builder.icmp_signed(">=", left, both))


class _Places(NamedTuple):
    """Where a tile's pixels begin: addresses in the images, and where weights are asked for ahead.

    skip: None where none is wanted. rest: where sums rest; of float32 images the same as y.
    """

    x: v.Value
    y: v.Value
    ahead: v.Value
    skip: v.Value | None
    rest: v.Value | None


class _Row(NamedTuple):
    """What the tiles of a row have in common.

    strides: from one pixel to the next, of `_Places` (None for what does not go by pixels).
    kinds: whether x and the weights are pairs. first, last: of chunk.parts.
    epilogue, act: see store_epilogue.
    """

    nv: int
    kinds: tuple[bool, bool]
    x: Image
    chunk: Chunk
    weights: v.Value
    strides: _Places
    first: v.Value
    last: v.Value
    epilogue: v.Value
    act: Any

    def end(self, builder: v.Builder, sums: list[list[v.Value]], at: _Places) -> None:
        """Emit the epilogue of some pixels' sums."""
        skip = None if at.skip is None else (at.skip, self.strides.skip)
        output = at.y, self.strides.y
        store_epilogue(builder, sums, self.epilogue, self.act, skip, output, self.kinds[0])

    def moved(self, builder: v.Builder, at: _Places, pixels: int) -> _Places:
        """`at` some pixels further on."""

        def moved(place: v.Value | None, stride: v.Value | None) -> v.Value | None:
            if place is None or stride is None:
                return place
            return v.advance(builder, place, builder.mul(stride, v.int64(pixels)))

        return _Places(*(moved(place, stride) for place, stride in zip(at, self.strides)))


def _vector_tile(
    builder: v.Builder, row: _Row, height: int, at: _Places, ahead: tuple[v.Value, v.Value]
) -> None:
    """Emit a tile in vector registers."""
    in_y = at.rest is None
    start, stride = (at.y, row.strides.y) if in_y else (at.rest, row.strides.rest)
    pixels = [v.advance(builder, start, builder.mul(stride, v.int64(p))) for p in range(height)]
    rests = [
        [v.advance(builder, pixel, v.int64(i * WIDTH)) for i in range(row.nv)] for pixel in pixels
    ]
    started = _zeros_or_load(builder, row.first, rests)
    sums = _taps(builder, at.x, row.x, row.chunk, row.weights, started, row.kinds, ahead)
    with builder.if_else(row.last) as (ended, unended):
        with ended:
            row.end(builder, sums, at)
        with unended:
            for values, places in zip(sums, rests):
                for value, place in zip(values, places):
                    v.store(builder, value, place)


def _matrix_tile(
    builder: v.Builder, row: _Row, height: int, at: _Places, ahead: tuple[v.Value, v.Value]
) -> None:
    """Emit a tile in AMX's registers; its sums go to memory, and from there through the epilogue."""
    emit_matrix_tile(
        builder, height, row.nv, at.x, row.x, row.chunk, row.weights, at.rest, row.first, ahead
    )
    pixels = 4

    def end(_p: v.Value, *places: v.Value) -> list[v.Value]:
        now = _places(at, places)
        row.end(builder, load_rests(builder, now.rest, pixels, row.nv), now)
        return _values(row.moved(builder, now, pixels))

    with builder.if_then(row.last):
        v.counted_loop(builder, "end", v.int64(height), pixels, _values(at), end)


def _values(places: _Places) -> list[v.Value]:
    """Those of the places that there are, as a loop carries them."""
    return [place for place in places if place is not None]


def _places(like: _Places, values: Any) -> _Places:
    """The inverse of _values."""
    left = iter(values)
    return _Places(*(None if place is None else next(left) for place in like))


def _make_conv_row(nv: int) -> Any:
    """A row of pixels by one panel of nv * W channels, as tiles of falling height."""

    @intrinsic
    def conv_row(
        typing_context: v.Context,
        x: v.NumbaType,
        panel: v.NumbaType,
        skip: v.NumbaType,
        y: v.NumbaType,
        rest: v.NumbaType,
        chunk: v.NumbaType,
    ) -> v.Intrinsic:
        """Image x, Panel, Image skip or None, Image y, resting sums or None, Chunk.

        See records.py and docs/kernels.md.
        """

        def generate(
            context: v.Context, builder: v.Builder, signature: Any, args: tuple[v.Value, ...]
        ) -> v.Value:
            x_type, panel_type, skip_type, y_type, rest_type, chunk_type = signature.args
            x, panel = v.fields(builder, x_type, args[0]), v.fields(builder, panel_type, args[1])
            skip, y = v.fields(builder, skip_type, args[2]), v.fields(builder, y_type, args[3])
            chunk = v.fields(builder, chunk_type, args[5])
            # The array is the first field of images and panels.
            kinds = is_pairs(x_type[0]), is_pairs(panel_type[0])

            def address(array_type: v.NumbaType, array: v.Value, offset: v.Value) -> v.Value:
                return v.pointer(context, builder, array_type, array, offset)

            weights_at = builder.add(panel.weights_at, chunk.weights_at)
            at = _Places(
                address(x_type[0], x.values, chunk.x_at),
                address(y_type[0], y.values, chunk.y_at),
                chunk.ahead_at,
                None if skip is None else address(skip_type[0], skip.values, chunk.skip_at),
                address(rest_type, args[4], chunk.rest_at) if kinds[0] else None,
            )
            row = _Row(
                nv,
                kinds,
                x,
                chunk,
                address(panel_type[0], panel.weights, weights_at),
                _Places(
                    x.pixel_stride,
                    y.pixel_stride,
                    None,
                    None if skip is None else skip.pixel_stride,
                    v.int64(nv * WIDTH),
                ),
                _is_set(builder, chunk.parts, FIRST),
                _is_set(builder, chunk.parts, LAST),
                address(panel_type[1], panel.epilogue, panel.epilogue_at),
                v.fields(builder, panel_type[2], panel.act),
            )
            turns = builder.mul(chunk.taps, builder.sdiv(chunk.steps, v.int64(UNROLL)))
            ragged = builder.and_(chunk.steps, v.int64(MATRIX_STEPS - 1))
            whole = builder.icmp_signed("==", ragged, v.int64(0))

            entry = builder.block
            next_tile = builder.append_basic_block("next.tile")
            done = builder.append_basic_block("row.done")
            builder.branch(next_tile)
            builder.position_at_end(next_tile)
            left = v.carried(builder, y.pixels, entry)
            places = [v.carried(builder, place, entry) for place in _values(at)]
            at = _places(at, places)
            choice = builder.append_basic_block("choose")
            builder.cbranch(builder.icmp_signed(">", left, v.int64(0)), choice, done)

            def whole_and_fits(height: int) -> v.Value:
                return builder.and_(whole, builder.icmp_signed(">=", left, v.int64(height)))

            def emit(height: int, fits: v.Value, emit_tile: Any) -> None:
                """A tile of `height` pixels where it fits, else the next choice."""
                nonlocal choice
                tile = builder.append_basic_block(f"tile{height}")
                choice = done if height == 1 else builder.append_basic_block("choose")
                builder.cbranch(fits, tile, choice)
                builder.position_at_end(tile)
                asking = builder.icmp_signed("<", at.ahead, chunk.ahead_stop)
                step = builder.select(asking, chunk.ahead_step, v.int64(0))
                ahead = address(panel_type[0], panel.weights, at.ahead), step
                emit_tile(builder, row, height, at, ahead)
                moved = row.moved(builder, at, height)
                moved = moved._replace(ahead=builder.add(at.ahead, builder.mul(turns, step)))
                left.add_incoming(builder.sub(left, v.int64(height)), builder.block)
                for place, value in zip(places, _values(moved)):
                    place.add_incoming(value, builder.block)
                builder.branch(next_tile)

            for height in MATRIX_HEIGHTS[nv] if kinds[0] else ():
                builder.position_at_end(choice)
                emit(height, whole_and_fits(height), _matrix_tile)
            for index, height in enumerate(TILE_HEIGHTS):
                builder.position_at_end(choice)
                emit(height, _fits(builder, left, index), _vector_tile)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(x, panel, skip, y, rest, chunk), generate

    return conv_row


conv_row_wide = _make_conv_row(2)
conv_row_narrow = _make_conv_row(1)
