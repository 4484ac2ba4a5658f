"""The micro-kernels of the convolutions: a row of pixels by NR channels, as tiles of MR pixels.

A is the image, read in place, B a chunk of a packed panel; the sums of a chunk rest in memory or end in
the epilogue. One kernel for float32 and for pairs (see products.py); of pairs, AMX's tiles compute what
they can. The tiles themselves: micro_conv_tile.py.

Real-time safe: they allocate nothing, call nothing and validate nothing.
"""

from __future__ import annotations

from typing import Any

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
from .micro_conv_tile import Places, Row, emit_matrix_tile, emit_vector_tile
from .products import is_pairs


def _is_set(builder: v.Builder, flags: v.Value, flag: int) -> v.Value:
    return builder.icmp_signed("!=", builder.and_(flags, v.int64(flag)), v.int64(0))


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
            at = Places(
                address(x_type[0], x.values, chunk.x_at),
                address(y_type[0], y.values, chunk.y_at),
                chunk.ahead_at,
                None if skip is None else address(skip_type[0], skip.values, chunk.skip_at),
                address(rest_type, args[4], chunk.rest_at) if kinds[0] else None,
            )
            row = Row(
                nv,
                kinds,
                x,
                chunk,
                address(panel_type[0], panel.weights, weights_at),
                Places(
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
            places = [v.carried(builder, place, entry) for place in at.values]
            at = at.with_values(places)
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
                for place, value in zip(places, moved.values):
                    place.add_incoming(value, builder.block)
                builder.branch(next_tile)

            for height in MATRIX_HEIGHTS[nv] if kinds[0] else ():
                builder.position_at_end(choice)
                emit(height, whole_and_fits(height), emit_matrix_tile)
            for index, height in enumerate(TILE_HEIGHTS):
                builder.position_at_end(choice)
                emit(height, _fits(builder, left, index), emit_vector_tile)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(x, panel, skip, y, rest, chunk), generate

    return conv_row


conv_row_wide = _make_conv_row(2)
conv_row_narrow = _make_conv_row(1)
