"""The micro-kernel of the transposed convolution to one channel: W outputs by dot products.

It reads inputs and weights by vectors of channels, and transposes and adds its W sums at the end.
Real-time safe: it allocates nothing, calls nothing and validates nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import intrinsic

from . import vector as v
from .blocking import THIN_PIXELS, WIDTH
from .epilogue import PIECEWISE
from .products import is_pairs, multiply_add
from .records import Activation
from .shapes import thin_taps
from .vector_epilogue import affine, elu, piecewise_linear


def _make_thin_tile() -> Any:
    @intrinsic
    def thin_tile(
        typing_context: v.Context,
        x: v.NumbaType,
        layer: v.NumbaType,
        y: v.NumbaType,
        tile: v.NumbaType,
    ) -> v.Intrinsic:
        """Image x, Layer, Image y, ThinTile: see records.py and docs/kernels.md."""

        def generate(
            context: v.Context, builder: v.Builder, signature: Any, args: tuple[v.Value, ...]
        ) -> v.Value:
            x_type, layer_type, y_type, _ = signature.args
            x, layer, y, tile = (
                v.fields(builder, kind, value) for kind, value in zip(signature.args, args)
            )
            rows = [
                v.pointer(context, builder, x_type[0], x.values, row)
                for row in (tile.above, tile.middle, tile.below)
            ]
            zero = v.int64(0)
            weights = v.pointer(context, builder, layer_type[0], layer.weights, zero)
            parameters = v.pointer(context, builder, layer_type[1], layer.epilogue, zero)
            act = v.fields(builder, layer_type[2], layer.act)
            end = thin_epilogue(builder, parameters, act)
            pairs = is_pairs(x_type[0])
            sums = _dot_products(builder, rows, x.pixel_stride, weights, pairs)
            total = end(_transpose_and_add(builder, sums))
            for half, offset in ((0, tile.even), (1, tile.odd)):
                part = builder.shuffle_vector(
                    total, total, v.lanes(range(half * WIDTH // 2, (half + 1) * WIDTH // 2))
                )
                v.store(builder, part, v.pointer(context, builder, y_type[0], y.values, offset))
            return context.get_dummy_value()

        return types.void(x, layer, y, tile), generate

    return thin_tile


def thin_epilogue(
    builder: v.Builder, parameters: v.Value, act: Activation
) -> Callable[[v.Value], v.Value]:
    """What ends a vector of sums. parameters: address of bias, post scale and post shift."""
    bias, scale, shift = (
        v.broadcast(builder, builder.load(v.advance(builder, parameters, v.int64(i))), WIDTH)
        for i in range(3)
    )

    def end(sums: v.Value) -> v.Value:
        total = builder.fadd(sums, bias)
        linear = piecewise_linear(builder, total, v.broadcast(builder, act.slope, WIDTH))
        piecewise = builder.icmp_signed("==", act.code, v.int64(PIECEWISE))
        total = builder.select(piecewise, linear, elu(builder, total))
        return affine(builder, total, scale, shift)

    return end


def _dot_products(
    builder: v.Builder, rows: list[v.Value], x_pixel: v.Value, weights: v.Value, pairs: bool
) -> list[v.Value]:
    """Emit the dot products of THIN_PIXELS input pixels' neighbourhoods with the four phases.

    rows: addresses of the rows above, at and below, at the column left of the first pixel.
    x_pixel: elements of a pixel, a multiple of W; pixels are adjacent. pairs: what they are.
    weights: [elements / W][25][W], the 25 taps in the order of `thin_taps`.
    Returns W vectors of partial sums, ordered (row phase, pixel, column phase).
    """
    order = [(i, (p, q)) for p in range(2) for i in range(THIN_PIXELS) for q in range(2)]
    taps = thin_taps()

    def turn(c: v.Value, w_now: v.Value, *acc: v.Value) -> list[v.Value]:
        new = dict(zip(order, acc))
        for row, address in enumerate(rows):
            row_now = v.advance(builder, address, c)
            pixels = [
                v.load(
                    builder, v.advance(builder, row_now, builder.mul(x_pixel, v.int64(i))), WIDTH
                )
                for i in range(THIN_PIXELS + 2)
            ]
            for index, (tap_row, column, phase) in enumerate(taps):
                if tap_row != row:
                    continue
                weight = v.load(builder, v.advance(builder, w_now, v.int64(index * WIDTH)), WIDTH)
                for i in range(THIN_PIXELS):
                    new[i, phase] = multiply_add(
                        builder, pairs, pixels[i + column], weight, new[i, phase]
                    )
        return [v.advance(builder, w_now, v.int64(len(taps) * WIDTH)), *new.values()]

    starts = [weights, *(v.constant(0.0, WIDTH) for _ in order)]
    return v.counted_loop(builder, "channels", x_pixel, WIDTH, starts, turn)[1:]


def _transpose_and_add(builder: v.Builder, vectors: list[v.Value]) -> v.Value:
    """Emit the sums over the lanes of W vectors of W lanes: lane i holds the sum of vector i."""
    even, odd = v.lanes(range(0, 2 * WIDTH, 2)), v.lanes(range(1, 2 * WIDTH, 2))
    while len(vectors) > 1:
        vectors = [
            builder.fadd(builder.shuffle_vector(a, b, even), builder.shuffle_vector(a, b, odd))
            for a, b in zip(vectors[::2], vectors[1::2])
        ]
    return vectors[0]


thin_tile = _make_thin_tile()
