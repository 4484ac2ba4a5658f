"""The micro-kernels: register tiles emitted as LLVM vector code.

Three of them. All read A by broadcast and B by vectors, accumulate in registers (as SSA values, so
nothing is spilled), and run one FMA per accumulator and step.

    conv tile   MR pixels x NR channels of a convolution, A read in place, epilogue fused
    GEMM tile   MR x NR of C, from packed panels of A and B
    thin tile   W outputs of a transposed convolution to one channel, by dot products

Real-time safe: they allocate nothing, call nothing and validate nothing.
"""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from . import vector as v
from .blocking import PREFETCH_AHEAD, THIN_PIXELS, TILE_HEIGHTS, WIDTH
from .epilogue import PIECEWISE
from .shapes import thin_taps

_I = types.int64
_F = types.float32


def _multiply_accumulate(builder, a, a_pixel, a_row, a_step, rows, run, b, mr, nv, prefetch):
    """Emit acc[p, :] = sum over r < rows, k < run of A[r, p, k] * B[r * run + k, :].

    A[r, p, k] stands at a + r * a_row + p * a_pixel + k * a_step (float32 elements); B is a packed
    panel, NR = nv * W floats per step. `rows` and `run` are at least 1, `run` is even (the loop
    is unrolled by two). Returns acc[p][vector]; leaves the builder behind the loops.
    """
    unroll = 2
    panel = nv * WIDTH
    zero = v.constant(0.0, WIDTH)
    entry = builder.block
    row_loop = builder.append_basic_block("row")
    step_loop = builder.append_basic_block("step")
    row_end = builder.append_basic_block("row.end")
    done = builder.append_basic_block("done")

    def loop_carried(start, block):
        value = builder.phi(start.type)
        value.add_incoming(start, block)
        return value

    builder.branch(row_loop)
    builder.position_at_end(row_loop)
    row = loop_carried(v.int64(0), entry)
    a_of_row = loop_carried(a, entry)
    b_of_row = loop_carried(b, entry)
    acc_of_row = [loop_carried(zero, entry) for _ in range(mr * nv)]
    multiples = [builder.mul(a_pixel, v.int64(i)) for i in range(4)]
    quads_of_row = [
        v.advance(builder, a_of_row, builder.mul(a_pixel, v.int64(p))) for p in range(0, mr, 4)
    ]

    builder.branch(step_loop)
    builder.position_at_end(step_loop)
    k = loop_carried(v.int64(0), row_loop)
    # One address per four rows of A; small multiples of the stride reach the rows between. A pointer
    # of its own for each row would not fit the general registers and be reloaded at every step.
    a_now = [loop_carried(address, row_loop) for address in quads_of_row]
    b_now = loop_carried(b_of_row, row_loop)
    acc = [loop_carried(value, row_loop) for value in acc_of_row]
    new = list(acc)
    for u in range(unroll):
        if prefetch:
            for line in range(0, panel, 16):
                ahead = v.int64(u * panel + line + PREFETCH_AHEAD)
                v.prefetch(builder, v.advance(builder, b_now, ahead))
        b_vectors = [
            v.load(builder, v.advance(builder, b_now, v.int64(u * panel + i * WIDTH)), WIDTH)
            for i in range(nv)
        ]
        for p in range(mr):
            at = v.advance(builder, a_now[p // 4], multiples[p % 4])
            at = v.advance(builder, at, builder.mul(a_step, v.int64(u)))
            a_broadcast = v.broadcast(builder, builder.load(at), WIDTH)
            for i in range(nv):
                j = p * nv + i
                new[j] = v.multiply_add(builder, a_broadcast, b_vectors[i], new[j])
    for phi, value in zip(acc, new):
        phi.add_incoming(value, step_loop)
    k_next = builder.add(k, v.int64(unroll))
    a_steps = builder.mul(a_step, v.int64(unroll))
    b_next = v.advance(builder, b_now, v.int64(unroll * panel))
    k.add_incoming(k_next, step_loop)
    for address in a_now:
        address.add_incoming(v.advance(builder, address, a_steps), step_loop)
    b_now.add_incoming(b_next, step_loop)
    builder.cbranch(builder.icmp_signed("<", k_next, run), step_loop, row_end)

    builder.position_at_end(row_end)
    for phi, value in zip(acc_of_row, new):
        phi.add_incoming(value, row_end)
    row_next = builder.add(row, v.int64(1))
    row.add_incoming(row_next, row_end)
    a_of_row.add_incoming(v.advance(builder, a_of_row, a_row), row_end)
    b_of_row.add_incoming(b_next, row_end)
    builder.cbranch(builder.icmp_signed("<", row_next, rows), row_loop, done)

    builder.position_at_end(done)
    return [[new[p * nv + i] for i in range(nv)] for p in range(mr)]


def _affine(builder, x, scale, shift):
    return v.multiply_add(builder, x, scale, shift)


def _piecewise_linear(builder, x, slopes):
    """x where x > 0, slope * x elsewhere: a NaN stays a NaN."""
    positive = builder.fcmp_ordered(">", x, v.constant(0.0, WIDTH))
    return builder.select(positive, x, builder.fmul(x, slopes))


def _elu(builder, x):
    """x where x > 0, exp(x) - 1 elsewhere: a NaN stays a NaN."""
    zero = v.constant(0.0, WIDTH)
    positive = builder.fcmp_ordered(">", x, zero)
    power = v.exp_nonpositive(builder, builder.select(positive, zero, x))
    return builder.select(positive, x, builder.fsub(power, v.constant(1.0, WIDTH)))


def _store_epilogue(builder, acc, epilogue, act, slope, skip, skip_pixel, y, y_pixel):
    """Emit raw = acc + bias; skip <- raw (unless skip_pixel is 0); y <- post(act(pre(raw))).

    epilogue: address of the panel's parameters, [5][NR]: bias, pre scale, pre shift, post scale,
    post shift. act: PIECEWISE (x for x > 0, slope * x otherwise: ReLU, LeakyReLU and the
    identity, by the slope) or ELU.
    """
    mr, nv = len(acc), len(acc[0])
    panel = nv * WIDTH

    def parameter(which, i):
        offset = v.int64(which * panel + i * WIDTH)
        return v.load(builder, v.advance(builder, epilogue, offset), WIDTH)

    def at(base, pixel_stride, p, i):
        row = v.advance(builder, base, builder.mul(pixel_stride, v.int64(p)))
        return v.advance(builder, row, v.int64(i * WIDTH))

    bias = [parameter(0, i) for i in range(nv)]
    raw = [[builder.fadd(acc[p][i], bias[i]) for i in range(nv)] for p in range(mr)]
    with builder.if_then(builder.icmp_signed("!=", skip_pixel, v.int64(0))):
        for p in range(mr):
            for i in range(nv):
                v.store(builder, raw[p][i], at(skip, skip_pixel, p, i))

    def store_all(activate):
        for i in range(nv):
            pre = parameter(1, i), parameter(2, i)
            post = parameter(3, i), parameter(4, i)
            for p in range(mr):
                x = activate(_affine(builder, raw[p][i], *pre))
                v.store(builder, _affine(builder, x, *post), at(y, y_pixel, p, i))

    with builder.if_else(builder.icmp_signed("==", act, v.int64(PIECEWISE))) as (then, otherwise):
        with then:
            slopes = v.broadcast(builder, slope, WIDTH)
            store_all(lambda x: _piecewise_linear(builder, x, slopes))
        with otherwise:
            store_all(lambda x: _elu(builder, x))


def _make_conv_row(nv, prefetch):
    """A row of pixels by one panel of nv * W channels, as tiles of the heights in TILE_HEIGHTS."""

    @intrinsic
    def conv_row(
        typing_context,
        x, x_at, x_pixel, x_row, rows, run, w, w_at, e, e_at, act, slope,
        skip, skip_at, skip_pixel, y, y_at, y_pixel, pixels,
    ):  # fmt: skip
        signature = types.void(
            x, _I, _I, _I, _I, _I, w, _I, e, _I, _I, _F, skip, _I, _I, y, _I, _I, _I
        )

        def generate(context, builder, signature, args):
            (x, x_at, x_pixel, x_row, rows, run, w, w_at, e, e_at, act, slope,
             skip, skip_at, skip_pixel, y, y_at, y_pixel, pixels) = args  # fmt: skip

            def address(argument, array, offset):
                return v.pointer(context, builder, signature.args[argument], array, offset)

            weights, epilogue = address(6, w, w_at), address(8, e, e_at)
            strides = x_pixel, skip_pixel, y_pixel
            starts = address(0, x, x_at), address(12, skip, skip_at), address(15, y, y_at)

            entry = builder.block
            next_tile = builder.append_basic_block("next.tile")
            done = builder.append_basic_block("row.done")
            builder.branch(next_tile)
            builder.position_at_end(next_tile)
            left = builder.phi(v.I64)
            left.add_incoming(pixels, entry)
            places = [builder.phi(start.type) for start in starts]
            for place, start in zip(places, starts):
                place.add_incoming(start, entry)
            choice = builder.append_basic_block("choose")
            builder.cbranch(builder.icmp_signed(">", left, v.int64(0)), choice, done)

            for i, height in enumerate(TILE_HEIGHTS):
                # The tallest tile is not used where it would leave a rest too small for the next.
                builder.position_at_end(choice)
                tile = builder.append_basic_block(f"tile{height}")
                fits = builder.icmp_signed(">=", left, v.int64(height))
                if i == 0:
                    exact = builder.icmp_signed("==", left, v.int64(height))
                    both = v.int64(height + TILE_HEIGHTS[1])
                    fits = builder.or_(exact, builder.icmp_signed(">=", left, both))
                choice = done if height == 1 else builder.append_basic_block("choose")
                builder.cbranch(fits, tile, choice)

                builder.position_at_end(tile)
                acc = _multiply_accumulate(
                    builder, places[0], x_pixel, x_row, v.int64(1), rows, run, weights,
                    height, nv, prefetch,
                )  # fmt: skip
                _store_epilogue(
                    builder, acc, epilogue, act, slope, places[1], skip_pixel, places[2], y_pixel
                )
                left.add_incoming(builder.sub(left, v.int64(height)), builder.block)
                for place, stride in zip(places, strides):
                    moved = v.advance(builder, place, builder.mul(stride, v.int64(height)))
                    place.add_incoming(moved, builder.block)
                builder.branch(next_tile)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return signature, generate

    return conv_row


def _make_gemm_tile(mr, nv):
    @intrinsic
    def gemm_tile(typing_context, a, a_at, b, b_at, steps, c, c_at, c_row, accumulate):
        signature = types.void(a, _I, b, _I, _I, c, _I, _I, _I)

        def generate(context, builder, signature, args):
            a, a_at, b, b_at, steps, c, c_at, c_row, accumulate = args
            acc = _multiply_accumulate(
                builder, v.pointer(context, builder, signature.args[0], a, a_at),
                v.int64(1), v.int64(0), v.int64(mr), v.int64(1), steps,
                v.pointer(context, builder, signature.args[2], b, b_at), mr, nv, False,
            )  # fmt: skip
            base = v.pointer(context, builder, signature.args[5], c, c_at)
            again = builder.icmp_signed("!=", accumulate, v.int64(0))
            for p in range(mr):
                row = v.advance(builder, base, builder.mul(c_row, v.int64(p)))
                for i in range(nv):
                    at = v.advance(builder, row, v.int64(i * WIDTH))
                    with builder.if_else(again) as (then, otherwise):
                        with then:
                            total = builder.fadd(v.load(builder, at, WIDTH), acc[p][i])
                            v.store(builder, total, at)
                        with otherwise:
                            v.store(builder, acc[p][i], at)
            return context.get_dummy_value()

        return signature, generate

    return gemm_tile


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
            linear = _piecewise_linear(builder, total, v.broadcast(builder, slope, WIDTH))
            total = builder.select(
                builder.icmp_signed("==", act, v.int64(PIECEWISE)), linear, _elu(builder, total)
            )
            scales, shifts = v.broadcast(builder, scale, WIDTH), v.broadcast(builder, shift, WIDTH)
            total = _affine(builder, total, scales, shifts)
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


conv_row_wide = _make_conv_row(2, prefetch=False)
conv_row_ahead = _make_conv_row(2, prefetch=True)
conv_row_narrow = _make_conv_row(1, prefetch=False)

GEMM_MR = TILE_HEIGHTS[0]
GEMM_NR = 2 * WIDTH
gemm_tile = _make_gemm_tile(GEMM_MR, 2)

thin_tile = _make_thin_tile()
