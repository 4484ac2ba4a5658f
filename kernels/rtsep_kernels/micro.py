"""The micro-kernels: register tiles emitted as LLVM vector code.

Both read A by broadcast and B by vectors, accumulate in registers (as SSA values, so nothing is
spilled), and run one FMA per accumulator and step.

    conv row    pixels of a convolution by NR channels, as tiles of MR pixels: A read in place, one
                chunk of steps at a time, epilogue fused; float32 or pairs (see products.py)
    GEMM tile   MR x NR of C, from packed panels of A and B

The third, for a transposed convolution to one channel, is micro_thin.py; what AMX's tiles do of a conv
row is micro_tiles.py. Real-time safe: they allocate
nothing, call nothing and validate nothing.
"""

from __future__ import annotations

from collections.abc import Callable
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
from .micro_tiles import emit_matrix_tile
from .products import is_pairs, load_weights, multiply_add
from .records import Chunk, Image
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
    kinds: tuple[bool, bool] = (False, False),
    ahead: tuple[v.Value, v.Value] | None = None,
) -> tuple[list[list[v.Value]], list[v.Value]]:
    """Emit sums[p][i] += sum over k < steps of A[p, k] * B[k, vector i].

    strides: A[p, k] stands at a + p * strides[0] + k * strides[1] (elements). B is a packed panel,
    NR = nv * W channels per step. `steps` is even and at least 2 (UNROLL).
    kinds: whether the elements of A are pairs, and those of B, see products.py.
    ahead: (address, elements per turn of the loop) of what is asked for meanwhile, see blocking.py.
    Returns the new sums, and where B ends and where to ask on. Leaves the builder behind the loop.
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
        weights, taken = load_weights(builder, kinds, b_now, nv)
        for u in range(UNROLL):
            for p in range(mr):
                at = v.advance(builder, a_now[p // 4], multiples[p % 4])
                at = v.advance(builder, at, builder.mul(a_step, v.int64(u)))
                a_broadcast = v.broadcast(builder, builder.load(at), WIDTH)
                for i in range(nv):
                    new[p][i] = multiply_add(
                        builder, kinds[0], a_broadcast, weights[u][i], new[p][i]
                    )
        a_steps = builder.mul(a_step, v.int64(UNROLL))
        return [
            v.advance(builder, b_now, v.int64(taken)),
            *(v.advance(builder, address, a_steps) for address in a_now),
            *(value for row in new for value in row),
            *asked_next,
        ]

    starts = [b, *quads, *(value for row in sums for value in row), *(ahead[:1] if ahead else ())]
    b_end, *ends = v.counted_loop(builder, "step", steps, UNROLL, starts, turn)
    ends = ends[len(quads) :]
    return [ends[p * nv : (p + 1) * nv] for p in range(mr)], [b_end, *ends[mr * nv :]]


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
    """Emit `_multiply_accumulate` for each row of taps of the chunk; returns the new sums."""
    mr, nv = len(sums), len(sums[0])

    def tap(
        _t: v.Value, a_now: v.Value, b_now: v.Value, asked: v.Value, *acc: v.Value
    ) -> list[v.Value]:
        new, ends = _multiply_accumulate(
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


def _make_conv_row(nv: int) -> Any:
    """A row of pixels by one panel of nv * W channels, as tiles of the heights in TILE_HEIGHTS."""

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
            x, panel, skip, y, _, chunk = (
                v.fields(builder, kind, value) if i != 4 else None
                for i, (kind, value) in enumerate(zip(signature.args, args))
            )
            # The array is the first field of images and panels.
            kinds = is_pairs(signature.args[0][0]), is_pairs(signature.args[1][0])

            def address(argument: int, array: v.Value, offset: v.Value) -> v.Value:
                return v.pointer(context, builder, signature.args[argument][0], array, offset)

            weights = address(1, panel.weights, builder.add(panel.weights_at, chunk.weights_at))
            epilogue = v.pointer(
                context, builder, signature.args[1][1], panel.epilogue, panel.epilogue_at
            )
            act = v.fields(builder, signature.args[1][2], panel.act)
            turns = builder.mul(chunk.taps, builder.sdiv(chunk.steps, v.int64(UNROLL)))
            strides = [x.pixel_stride, y.pixel_stride, None]
            starts = [
                address(0, x.values, chunk.x_at),
                address(3, y.values, chunk.y_at),
                chunk.ahead_at,
            ]
            if skip is not None:
                strides.append(skip.pixel_stride)
                starts.append(address(2, skip.values, chunk.skip_at))
            if kinds[0]:
                # The output's pairs have no room for float32 sums.
                strides.append(v.int64(nv * WIDTH))
                rest_type = signature.args[4]
                starts.append(v.pointer(context, builder, rest_type, args[4], chunk.rest_at))

            first, last = (_is_set(builder, chunk.parts, flag) for flag in (FIRST, LAST))
            whole = builder.icmp_signed(
                "==", builder.and_(chunk.steps, v.int64(MATRIX_STEPS - 1)), v.int64(0)
            )

            entry = builder.block
            next_tile = builder.append_basic_block("next.tile")
            done = builder.append_basic_block("row.done")
            builder.branch(next_tile)
            builder.position_at_end(next_tile)
            left = v.carried(builder, y.pixels, entry)
            places = [v.carried(builder, start, entry) for start in starts]
            choice = builder.append_basic_block("choose")
            builder.cbranch(builder.icmp_signed(">", left, v.int64(0)), choice, done)

            matrix_heights = MATRIX_HEIGHTS[nv] if kinds[0] else ()
            heights = [(height, None) for height in matrix_heights]
            heights += [(height, index) for index, height in enumerate(TILE_HEIGHTS)]
            for height, index in heights:
                builder.position_at_end(choice)
                tile = builder.append_basic_block(f"tile{height}")
                if index is None:
                    room = builder.icmp_signed(">=", left, v.int64(height))
                    fits = builder.and_(room, whole)
                else:
                    fits = _fits(builder, left, index)
                choice = done if height == 1 else builder.append_basic_block("choose")
                builder.cbranch(fits, tile, choice)

                builder.position_at_end(tile)
                x_now, y_now, asked, *others = places
                rest_now = others.pop() if kinds[0] else None
                raw = (others[0], skip.pixel_stride) if skip is not None else None
                asking = builder.icmp_signed("<", asked, chunk.ahead_stop)
                step = builder.select(asking, chunk.ahead_step, v.int64(0))
                ahead = address(1, panel.weights, asked), step
                target = y_now, y.pixel_stride

                def end(
                    sums: list[list[v.Value]],
                    raw: tuple[v.Value, v.Value] | None = raw,
                    target: tuple[v.Value, v.Value] = target,
                ) -> None:
                    store_epilogue(builder, sums, epilogue, act, raw, target, kinds[0])

                if index is None:
                    emit_matrix_tile(
                        builder, height, nv, x_now, x, chunk, weights, rest_now, (first, last), ahead
                    )
                    with builder.if_then(last):
                        _end_matrix_tile(builder, height, nv, rest_now, raw, target, end)
                else:
                    row_stride = v.int64(nv * WIDTH) if kinds[0] else y.pixel_stride
                    rows = [
                        v.advance(
                            builder,
                            rest_now if kinds[0] else y_now,
                            builder.mul(row_stride, v.int64(p)),
                        )
                        for p in range(height)
                    ]
                    rests = [
                        [v.advance(builder, row, v.int64(i * WIDTH)) for i in range(nv)]
                        for row in rows
                    ]
                    started = _zeros_or_load(builder, first, rests)
                    sums = _taps(builder, x_now, x, chunk, weights, started, kinds, ahead)
                    with builder.if_else(last) as (ended, unended):
                        with ended:
                            end(sums)
                        with unended:
                            for values, places_of_row in zip(sums, rests):
                                for value, place in zip(values, places_of_row):
                                    v.store(builder, value, place)
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

        return types.void(x, panel, skip, y, rest, chunk), generate

    return conv_row


def _end_matrix_tile(
    builder: v.Builder,
    height: int,
    nv: int,
    rest: v.Value,
    raw: tuple[v.Value, v.Value] | None,
    target: tuple[v.Value, v.Value],
    end: Callable[..., None],
) -> None:
    """Emit the epilogue of a matrix tile, whose sums stand at `rest`, four pixels at a time."""
    pixels = 4

    def four(_p: v.Value, rest_now: v.Value, *images: v.Value) -> list[v.Value]:
        sums = [
            [
                v.load(
                    builder, v.advance(builder, rest_now, v.int64((p * nv + i) * WIDTH)), WIDTH
                )
                for i in range(nv)
            ]
            for p in range(pixels)
        ]
        end(
            sums,
            (images[1], raw[1]) if raw else None,
            (images[0], target[1]),
        )
        strides = [target[1], *([raw[1]] if raw else [])]
        return [
            v.advance(builder, rest_now, v.int64(pixels * nv * WIDTH)),
            *(
                v.advance(builder, image, builder.mul(stride, v.int64(pixels)))
                for image, stride in zip(images, strides)
            ),
        ]

    starts = [rest, target[0], *([raw[0]] if raw else [])]
    v.counted_loop(builder, "end", v.int64(height), pixels, starts, four)


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
            acc, _ = _multiply_accumulate(builder, a, strides, tile.steps, b, zeros)
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
