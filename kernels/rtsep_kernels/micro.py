"""The micro-kernels: register tiles emitted as LLVM vector code.

Both read A by broadcast and B by vectors, accumulate in registers (as SSA values, so nothing is
spilled), and run one FMA per accumulator and step.

    conv row    pixels of a convolution by NR channels, as tiles of MR pixels: A read in place, one
                chunk of steps at a time, epilogue fused
    GEMM tile   MR x NR of C, from packed panels of A and B

The third, for a transposed convolution to one channel, is micro_thin.py. Real-time safe: they allocate
nothing, call nothing and validate nothing.
"""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from . import vector as v
from .blocking import FIRST, LAST, TILE_HEIGHTS, UNROLL, WIDTH
from .vector_epilogue import store_epilogue

_I = types.int64
_F = types.float32
# float32 in a cache line.
_LINE = 16


def _loop_carried(builder, start, block):
    value = builder.phi(start.type)
    value.add_incoming(start, block)
    return value


def _multiply_accumulate(builder, a, a_pixel, a_step, steps, b, sums, ahead=None):
    """Emit sums[p][i] += sum over k < steps of A[p, k] * B[k, vector i]; returns the new sums.

    A[p, k] stands at a + p * a_pixel + k * a_step (float32 elements); B is a packed panel, NR = nv * W
    floats per step. `steps` is even and at least 2 (UNROLL).
    ahead: (address, floats per turn of the loop) of what is asked for meanwhile, see blocking.py.
    Leaves the builder behind the loop.
    """
    mr, nv = len(sums), len(sums[0])
    panel = nv * WIDTH
    entry = builder.block
    loop = builder.append_basic_block("step")
    done = builder.append_basic_block("steps.done")
    multiples = [builder.mul(a_pixel, v.int64(i)) for i in range(4)]
    quads = [v.advance(builder, a, builder.mul(a_pixel, v.int64(p))) for p in range(0, mr, 4)]

    builder.branch(loop)
    builder.position_at_end(loop)
    k = _loop_carried(builder, v.int64(0), entry)
    # One address per four rows of A; small multiples of the stride reach the rows between. A pointer
    # of its own for each row would not fit the general registers and be reloaded at every step.
    a_now = [_loop_carried(builder, address, entry) for address in quads]
    b_now = _loop_carried(builder, b, entry)
    acc = [[_loop_carried(builder, value, entry) for value in row] for row in sums]
    if ahead:
        asked, ahead_step = _loop_carried(builder, ahead[0], entry), ahead[1]
        for line in range(max(1, UNROLL * panel // (2 * _LINE))):
            v.prefetch(builder, v.advance(builder, asked, v.int64(line * _LINE)))
        asked.add_incoming(v.advance(builder, asked, ahead_step), loop)
    new = [list(row) for row in acc]
    for u in range(UNROLL):
        b_vectors = [
            v.load(builder, v.advance(builder, b_now, v.int64(u * panel + i * WIDTH)), WIDTH)
            for i in range(nv)
        ]
        for p in range(mr):
            at = v.advance(builder, a_now[p // 4], multiples[p % 4])
            at = v.advance(builder, at, builder.mul(a_step, v.int64(u)))
            a_broadcast = v.broadcast(builder, builder.load(at), WIDTH)
            for i in range(nv):
                new[p][i] = v.multiply_add(builder, a_broadcast, b_vectors[i], new[p][i])
    for phis, values in zip(acc, new):
        for phi, value in zip(phis, values):
            phi.add_incoming(value, loop)
    k_next = builder.add(k, v.int64(UNROLL))
    a_steps = builder.mul(a_step, v.int64(UNROLL))
    k.add_incoming(k_next, loop)
    for address in a_now:
        address.add_incoming(v.advance(builder, address, a_steps), loop)
    b_now.add_incoming(v.advance(builder, b_now, v.int64(UNROLL * panel)), loop)
    builder.cbranch(builder.icmp_signed("<", k_next, steps), loop, done)
    builder.position_at_end(done)
    return new


def _is_set(builder, flags, flag):
    return builder.icmp_signed("!=", builder.and_(flags, v.int64(flag)), v.int64(0))


def _zeros_or_load(builder, zeros, places):
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
        phis = [_loop_carried(builder, v.constant(0.0, WIDTH), entry) for _ in row]
        for phi, value in zip(phis, row):
            phi.add_incoming(value, load)
        started.append(phis)
    return started


def _make_conv_row(nv):
    """A row of pixels by one panel of nv * W channels, as tiles of the heights in TILE_HEIGHTS."""

    @intrinsic
    def conv_row(
        typing_context,
        x, x_at, x_pixel, steps, w, w_at, ahead_at, ahead_stop, ahead_step, parts, e, e_at, act,
        slope, skip, skip_at, skip_pixel, y, y_at, y_pixel, pixels,
    ):  # fmt: skip
        """parts: FIRST if the sums begin with these steps, LAST if they end: the epilogue follows."""
        signature = types.void(
            x, _I, _I, _I, w, _I, _I, _I, _I, _I, e, _I, _I, _F, skip, _I, _I, y, _I, _I, _I
        )

        def generate(context, builder, signature, args):
            (x, x_at, x_pixel, steps, w, w_at, ahead_at, ahead_stop, ahead_step, parts, e, e_at, act,
             slope, skip, skip_at, skip_pixel, y, y_at, y_pixel, pixels) = args  # fmt: skip

            def address(argument, array, offset):
                return v.pointer(context, builder, signature.args[argument], array, offset)

            weights, epilogue = address(4, w, w_at), address(10, e, e_at)
            turns = builder.sdiv(steps, v.int64(UNROLL))
            strides = x_pixel, skip_pixel, y_pixel, None
            starts = [
                address(0, x, x_at), address(14, skip, skip_at), address(17, y, y_at), ahead_at
            ]  # fmt: skip

            entry = builder.block
            next_tile = builder.append_basic_block("next.tile")
            done = builder.append_basic_block("row.done")
            builder.branch(next_tile)
            builder.position_at_end(next_tile)
            left = _loop_carried(builder, pixels, entry)
            places = [_loop_carried(builder, start, entry) for start in starts]
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
                x_now, skip_now, y_now, asked = places
                rows = [
                    v.advance(builder, y_now, builder.mul(y_pixel, v.int64(p)))
                    for p in range(height)
                ]
                outputs = [
                    [v.advance(builder, row, v.int64(i * WIDTH)) for i in range(nv)] for row in rows
                ]
                asking = builder.icmp_signed("<", asked, ahead_stop)
                step = builder.select(asking, ahead_step, v.int64(0))
                sums = _multiply_accumulate(
                    builder, x_now, x_pixel, v.int64(1), steps, weights,
                    _zeros_or_load(builder, _is_set(builder, parts, FIRST), outputs),
                    (address(4, w, asked), step),
                )  # fmt: skip
                with builder.if_else(_is_set(builder, parts, LAST)) as (ended, unended):
                    with ended:
                        store_epilogue(
                            builder, sums, epilogue, act, slope, skip_now, skip_pixel, outputs
                        )
                    with unended:
                        for values, targets in zip(sums, outputs):
                            for value, target in zip(values, targets):
                                v.store(builder, value, target)
                left.add_incoming(builder.sub(left, v.int64(height)), builder.block)
                for place, stride in zip(places, strides):
                    if stride is None:
                        moved = builder.add(place, builder.mul(turns, step))
                    else:
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
                v.int64(1), v.int64(mr), steps,
                v.pointer(context, builder, signature.args[2], b, b_at),
                [[v.constant(0.0, WIDTH)] * nv for _ in range(mr)],
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


conv_row_wide = _make_conv_row(2)
conv_row_narrow = _make_conv_row(1)

GEMM_MR = TILE_HEIGHTS[0]
GEMM_NR = 2 * WIDTH
gemm_tile = _make_gemm_tile(GEMM_MR, 2)
