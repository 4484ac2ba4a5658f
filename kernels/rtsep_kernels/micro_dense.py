"""The micro-kernel of dense layers: a row of tokens by one panel of outputs, as tiles of MR tokens.

A is the tokens, read in place by broadcast, B a chunk of packed weights; sums stay in registers (see
micro.py). Of a convolution's epilogue they need the bias only, and of activations GELU, which that one
has not; a shorter epilogue leaves the registers to the sums.

Real-time safe: it allocates nothing, calls nothing and validates nothing.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from . import vector as v
from .blocking import DENSE_VECTORS, FIRST, LAST, TILE_HEIGHTS, UNROLL, WIDTH
from .micro import multiply_accumulate
from .vector_epilogue import gelu

_HEIGHT = TILE_HEIGHTS[0]
# What is left of a row is finished by tiles whose heights are the bits of the rest.
_REST_HEIGHTS = [height for height in (4, 2, 1) if height < _HEIGHT]


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


@intrinsic
def _dense_row(
    typing_context: v.Context,
    x: v.NumbaType,
    panel: v.NumbaType,
    bias: v.NumbaType,
    y: v.NumbaType,
    chunk: v.NumbaType,
) -> v.Intrinsic:
    """Image x, DensePanel, biases or None, Image y, DenseChunk: see records.py and docs/kernels.md."""

    def generate(
        context: v.Context, builder: v.Builder, signature: Any, args: tuple[v.Value, ...]
    ) -> v.Value:
        x_type, panel_type, bias_type, y_type, chunk_type = signature.args
        x, panel = v.fields(builder, x_type, args[0]), v.fields(builder, panel_type, args[1])
        y, chunk = v.fields(builder, y_type, args[3]), v.fields(builder, chunk_type, args[4])

        def is_set(flag: int) -> v.Value:
            masked = builder.and_(chunk.parts, v.int64(flag))
            return builder.icmp_signed("!=", masked, v.int64(0))

        # The array is the first field of images and panels.
        weights = v.pointer(context, builder, panel_type[0], panel.weights, chunk.weights_at)
        first, last = is_set(FIRST), is_set(LAST)
        turns = builder.sdiv(chunk.steps, v.int64(UNROLL))
        bias = None
        if bias_type != types.none:
            bias = v.pointer(context, builder, bias_type, args[2], panel.bias_at)

        def end(sums: list[v.Value], at: list[v.Value], vector: int) -> None:
            """Bias and activation of one vector of every token, and the store."""
            with builder.if_else(last) as (ended, unended):
                with unended:
                    for total, place in zip(sums, at):
                        v.store(builder, total, place)
                with ended:
                    added = v.load(
                        builder, v.advance(builder, bias, v.int64(vector * WIDTH)), WIDTH
                    )
                    raw = [builder.fadd(total, added) for total in sums]
                    with builder.if_else(panel.gelu) as (curved, straight):
                        with curved:
                            for total, place in zip(raw, at):
                                v.store(builder, gelu(builder, total), place)
                        with straight:
                            for total, place in zip(raw, at):
                                v.store(builder, total, place)

        def tile(height: int, token: v.Value, asked: v.Value, ask_step: v.Value) -> None:
            x_at = builder.add(chunk.x_at, builder.mul(token, x.pixel_stride))
            y_at = builder.add(chunk.y_at, builder.mul(token, y.pixel_stride))
            a = v.pointer(context, builder, x_type[0], x.values, x_at)
            out = v.pointer(context, builder, y_type[0], y.values, y_at)
            rows = [
                v.advance(builder, out, builder.mul(y.pixel_stride, v.int64(p)))
                for p in range(height)
            ]
            at = [
                [v.advance(builder, row, v.int64(i * WIDTH)) for i in range(DENSE_VECTORS)]
                for row in rows
            ]
            ahead = v.pointer(context, builder, panel_type[0], panel.weights, asked), ask_step
            sums, _ = multiply_accumulate(
                builder,
                a,
                (x.pixel_stride, v.int64(1)),
                chunk.steps,
                weights,
                _zeros_or_load(builder, first, at),
                ahead=ahead,
            )
            for i in range(DENSE_VECTORS):
                column, places = [row[i] for row in sums], [row[i] for row in at]
                if bias is not None:
                    end(column, places, i)
                else:
                    for total, place in zip(column, places):
                        v.store(builder, total, place)

        rest = builder.srem(y.pixels, v.int64(_HEIGHT))
        whole = builder.sub(y.pixels, rest)
        with builder.if_then(builder.icmp_signed(">", whole, v.int64(0))):
            per_tile = builder.mul(turns, chunk.ahead_step)

            def whole_tile(token: v.Value, asked: v.Value) -> list[v.Value]:
                tile(_HEIGHT, token, asked, chunk.ahead_step)
                return [builder.add(asked, per_tile)]

            v.counted_loop(builder, "tile", whole, _HEIGHT, [chunk.ahead_at], whole_tile)
        for height in _REST_HEIGHTS:
            bit = builder.and_(rest, v.int64(height))
            left = builder.and_(rest, v.int64(2 * height - 1))
            with builder.if_then(builder.icmp_signed("!=", bit, v.int64(0))):
                # Too few to ask for anything: they look at what they have.
                tile(height, builder.sub(y.pixels, left), chunk.weights_at, v.int64(0))
        return context.get_dummy_value()

    return types.void(x, panel, bias, y, chunk), generate


# Numba gives the typing context: of a function with so many arguments a checker would know better.
dense_row: Any = _dense_row
