"""The micro-kernel of the transposed convolution to one channel: W outputs by dot products.

It reads inputs and weights by vectors of channels, and transposes and adds its W sums at the end.
Real-time safe: it allocates nothing, calls nothing and validates nothing.
"""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from . import vector as v
from .blocking import THIN_PIXELS, WIDTH
from .epilogue import PIECEWISE
from .shapes import thin_taps
from .vector_epilogue import affine, elu, piecewise_linear

_I = types.int64
_F = types.float32


def _make_thin_tile():
    @intrinsic
    def thin_tile(
        typing_context, x, above, middle, below, x_pixel, channels, w,
        y, y_even, y_odd, bias, act, slope, scale, shift,
    ):  # fmt: skip
        signature = types.void(x, _I, _I, _I, _I, _I, w, y, _I, _I, _F, _I, _F, _F, _F)

        def generate(context, builder, signature, args):
            (x, above, middle, below, x_pixel, channels, w,
             y, y_even, y_odd, bias, act, slope, scale, shift) = args  # fmt: skip
            x_type, w_type, y_type = signature.args[0], signature.args[6], signature.args[7]
            rows = [v.pointer(context, builder, x_type, x, row) for row in (above, middle, below)]
            weights = v.pointer(context, builder, w_type, w, v.int64(0))
            sums = _dot_products(builder, rows, x_pixel, channels, weights)
            total = _transpose_and_add(builder, sums)
            total = builder.fadd(total, v.broadcast(builder, bias, WIDTH))
            linear = piecewise_linear(builder, total, v.broadcast(builder, slope, WIDTH))
            total = builder.select(
                builder.icmp_signed("==", act, v.int64(PIECEWISE)), linear, elu(builder, total)
            )
            scales, shifts = v.broadcast(builder, scale, WIDTH), v.broadcast(builder, shift, WIDTH)
            total = affine(builder, total, scales, shifts)
            for half, offset in ((0, y_even), (1, y_odd)):
                part = builder.shuffle_vector(
                    total, total, v.lanes(range(half * WIDTH // 2, (half + 1) * WIDTH // 2))
                )
                v.store(builder, part, v.pointer(context, builder, y_type, y, offset))
            return context.get_dummy_value()

        return signature, generate

    return thin_tile


def _dot_products(builder, rows, x_pixel, channels, weights):
    """Emit the dot products of THIN_PIXELS input pixels' neighbourhoods with the four phases.

    rows: addresses of the rows above, at and below, at the column left of the first pixel.
    weights: [channels / W][25][W], the 25 taps in the order of `thin_taps`.
    Returns W vectors of partial sums, ordered (row phase, pixel, column phase).
    """
    phases = [(p, q) for p in range(2) for q in range(2)]
    entry = builder.block
    loop = builder.append_basic_block("channels")
    done = builder.append_basic_block("channels.done")
    builder.branch(loop)
    builder.position_at_end(loop)
    c = builder.phi(v.I64)
    c.add_incoming(v.int64(0), entry)
    w_now = builder.phi(weights.type)
    w_now.add_incoming(weights, entry)
    acc = {}
    for pixel in range(THIN_PIXELS):
        for phase in phases:
            acc[pixel, phase] = builder.phi(v.vector_type(WIDTH))
            acc[pixel, phase].add_incoming(v.constant(0.0, WIDTH), entry)
    new = dict(acc)
    taps = thin_taps()
    for row, address in enumerate(rows):
        row_now = v.advance(builder, address, c)
        pixels = [
            v.load(builder, v.advance(builder, row_now, builder.mul(x_pixel, v.int64(i))), WIDTH)
            for i in range(THIN_PIXELS + 2)
        ]
        for index, (tap_row, column, phase) in enumerate(taps):
            if tap_row != row:
                continue
            weight = v.load(builder, v.advance(builder, w_now, v.int64(index * WIDTH)), WIDTH)
            for i in range(THIN_PIXELS):
                new[i, phase] = v.multiply_add(builder, pixels[i + column], weight, new[i, phase])
    for key, phi in acc.items():
        phi.add_incoming(new[key], loop)
    c_next = builder.add(c, v.int64(WIDTH))
    c.add_incoming(c_next, loop)
    w_now.add_incoming(v.advance(builder, w_now, v.int64(len(taps) * WIDTH)), loop)
    builder.cbranch(builder.icmp_signed("<", c_next, channels), loop, done)
    builder.position_at_end(done)
    return [new[i, (p, q)] for p in range(2) for i in range(THIN_PIXELS) for q in range(2)]


def _transpose_and_add(builder, vectors):
    """Emit the sums over the lanes of W vectors of W lanes: lane i holds the sum of vector i."""
    even, odd = v.lanes(range(0, 2 * WIDTH, 2)), v.lanes(range(1, 2 * WIDTH, 2))
    while len(vectors) > 1:
        vectors = [
            builder.fadd(builder.shuffle_vector(a, b, even), builder.shuffle_vector(a, b, odd))
            for a, b in zip(vectors[::2], vectors[1::2])
        ]
    return vectors[0]


thin_tile = _make_thin_tile()
