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

from typing import Any

from numba import types
from numba.extending import intrinsic

from . import vector as v
from .blocking import FIRST, LAST, TILE_HEIGHTS, UNROLL, WIDTH
from .vector_epilogue import store_epilogue

# float32 in a cache line.
_LINE = 16


def _multiply_accumulate(
    builder: v.Builder,
    a: v.Value,
    strides: tuple[v.Value, v.Value],
    steps: v.Value,
    b: v.Value,
    sums: list[list[v.Value]],
    ahead: tuple[v.Value, v.Value] | None = None,
) -> list[list[v.Value]]:
    """Emit sums[p][i] += sum over k < steps of A[p, k] * B[k, vector i]; returns the new sums.

    strides: A[p, k] stands at a + p * strides[0] + k * strides[1] (float32 elements). B is a packed
    panel, NR = nv * W floats per step. `steps` is even and at least 2 (UNROLL).
    ahead: (address, floats per turn of the loop) of what is asked for meanwhile, see blocking.py.
    Leaves the builder behind the loop.
    """
    mr, nv = len(sums), len(sums[0])
    panel = nv * WIDTH
    a_pixel, a_step = strides
    # One address per four rows of A; small multiples of the stride reach the rows between. A pointer
    # of its own for each row would not fit the general registers and be reloaded at every step.
    multiples = [builder.mul(a_pixel, v.int64(i)) for i in range(4)]
    quads = [v.advance(builder, a, builder.mul(a_pixel, v.int64(p))) for p in range(0, mr, 4)]

    def turn(_k: v.Value, b_now: v.Value, *carried: v.Value) -> list[v.Value]:
        a_now, rest = carried[: len(quads)], carried[len(quads) :]
        acc, asked = rest[: mr * nv], rest[mr * nv :]
        asked_next = []
        if ahead:
            for line in range(max(1, UNROLL * panel // (2 * _LINE))):
                v.prefetch(builder, v.advance(builder, asked[0], v.int64(line * _LINE)))
            asked_next = [v.advance(builder, asked[0], ahead[1])]
        new = [list(acc[p * nv : (p + 1) * nv]) for p in range(mr)]
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
        a_steps = builder.mul(a_step, v.int64(UNROLL))
        return [
            v.advance(builder, b_now, v.int64(UNROLL * panel)),
            *(v.advance(builder, address, a_steps) for address in a_now),
            *(value for row in new for value in row),
            *asked_next,
        ]

    starts = [b, *quads, *(value for row in sums for value in row), *(ahead[:1] if ahead else ())]
    ends = v.counted_loop(builder, "step", steps, UNROLL, starts, turn)[1 + len(quads) :]
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


def _make_conv_row(nv: int) -> Any:
    """A row of pixels by one panel of nv * W channels, as tiles of the heights in TILE_HEIGHTS."""

    @intrinsic
    def conv_row(
        typing_context: v.Context,
        x: v.NumbaType,
        panel: v.NumbaType,
        skip: v.NumbaType,
        y: v.NumbaType,
        chunk: v.NumbaType,
    ) -> v.Intrinsic:
        """Image x, Panel, Image skip or None, Image y, Chunk: see records.py, docs/kernels.md."""

        def generate(
            context: v.Context, builder: v.Builder, signature: Any, args: tuple[v.Value, ...]
        ) -> v.Value:
            x, panel, skip, y, chunk = (
                v.fields(builder, kind, value) for kind, value in zip(signature.args, args)
            )

            def address(argument: int, array: v.Value, offset: v.Value) -> v.Value:
                # The array is the first field of images and panels.
                return v.pointer(context, builder, signature.args[argument][0], array, offset)

            weights = address(1, panel.weights, builder.add(panel.weights_at, chunk.weights_at))
            epilogue = v.pointer(
                context, builder, signature.args[1][1], panel.epilogue, panel.epilogue_at
            )
            act = v.fields(builder, signature.args[1][2], panel.act)
            turns = builder.sdiv(chunk.steps, v.int64(UNROLL))
            strides = [x.pixel_stride, y.pixel_stride, None]
            starts = [
                address(0, x.values, chunk.x_at),
                address(3, y.values, chunk.y_at),
                chunk.ahead_at,
            ]
            if skip is not None:
                strides.append(skip.pixel_stride)
                starts.append(address(2, skip.values, chunk.skip_at))

            entry = builder.block
            next_tile = builder.append_basic_block("next.tile")
            done = builder.append_basic_block("row.done")
            builder.branch(next_tile)
            builder.position_at_end(next_tile)
            left = v.carried(builder, y.pixels, entry)
            places = [v.carried(builder, start, entry) for start in starts]
            choice = builder.append_basic_block("choose")
            builder.cbranch(builder.icmp_signed(">", left, v.int64(0)), choice, done)

            for index, height in enumerate(TILE_HEIGHTS):
                builder.position_at_end(choice)
                tile = builder.append_basic_block(f"tile{height}")
                fits = _fits(builder, left, index)
                choice = done if height == 1 else builder.append_basic_block("choose")
                builder.cbranch(fits, tile, choice)

                builder.position_at_end(tile)
                x_now, y_now, asked, *skip_now = places
                rows = [
                    v.advance(builder, y_now, builder.mul(y.pixel_stride, v.int64(p)))
                    for p in range(height)
                ]
                outputs = [
                    [v.advance(builder, row, v.int64(i * WIDTH)) for i in range(nv)] for row in rows
                ]
                asking = builder.icmp_signed("<", asked, chunk.ahead_stop)
                step = builder.select(asking, chunk.ahead_step, v.int64(0))
                sums = _multiply_accumulate(
                    builder,
                    x_now,
                    (x.pixel_stride, v.int64(1)),
                    chunk.steps,
                    weights,
                    _zeros_or_load(builder, _is_set(builder, chunk.parts, FIRST), outputs),
                    (address(1, panel.weights, asked), step),
                )
                with builder.if_else(_is_set(builder, chunk.parts, LAST)) as (ended, unended):
                    with ended:
                        raw = (skip_now[0], skip.pixel_stride) if skip is not None else None
                        store_epilogue(builder, sums, epilogue, act, raw, outputs)
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

        return types.void(x, panel, skip, y, chunk), generate

    return conv_row


def _make_gemm_tile(mr: int, nv: int) -> Any:
    @intrinsic
    def gemm_tile(
        typing_context: v.Context,
        a: v.NumbaType,
        b: v.NumbaType,
        c: v.NumbaType,
        tile: v.NumbaType,
    ) -> v.Intrinsic:
        """Packed A and B, flat C, GemmTile: see records.py and docs/kernels.md."""

        def generate(
            context: v.Context, builder: v.Builder, signature: Any, args: tuple[v.Value, ...]
        ) -> v.Value:
            tile = v.fields(builder, signature.args[3], args[3])
            a, b, base = (
                v.pointer(context, builder, kind, array, offset)
                for kind, array, offset in zip(
                    signature.args, args, (tile.a_at, tile.b_at, tile.c_at)
                )
            )
            zeros = [[v.constant(0.0, WIDTH)] * nv for _ in range(mr)]
            strides = v.int64(1), v.int64(mr)
            acc = _multiply_accumulate(builder, a, strides, tile.steps, b, zeros)
            again = builder.icmp_signed("!=", tile.add, v.int64(0))
            for p in range(mr):
                row = v.advance(builder, base, builder.mul(tile.c_row, v.int64(p)))
                for i in range(nv):
                    at = v.advance(builder, row, v.int64(i * WIDTH))
                    with builder.if_else(again) as (then, otherwise):
                        with then:
                            total = builder.fadd(v.load(builder, at, WIDTH), acc[p][i])
                            v.store(builder, total, at)
                        with otherwise:
                            v.store(builder, acc[p][i], at)
            return context.get_dummy_value()

        return types.void(a, b, c, tile), generate

    return gemm_tile


conv_row_wide = _make_conv_row(2)
conv_row_narrow = _make_conv_row(1)

GEMM_MR = TILE_HEIGHTS[0]
GEMM_NR = 2 * WIDTH
gemm_tile = _make_gemm_tile(GEMM_MR, 2)
