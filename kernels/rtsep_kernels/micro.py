"""The register tile that every product goes through, and GEMM's micro-kernel.

Vector code emitted through LLVM: A is read by broadcast and B by vectors, sums stay in registers (as SSA
values, so nothing is spilled), one FMA or dot product of pairs per accumulator and step.

    GEMM tile   MR x NR of C, from packed panels of A and B

The rows of a convolution are micro_conv.py, the transposed convolution to one channel micro_thin.py.
Real-time safe: they allocate nothing, call nothing and validate nothing.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from . import vector as v
from .blocking import TILE_HEIGHTS, UNROLL, WIDTH
from .products import load_weights, multiply_add

# Elements in a cache line.
_LINE = 16


def multiply_accumulate(
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
            acc, _ = multiply_accumulate(builder, a, strides, tile.steps, b, zeros)
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


GEMM_MR = TILE_HEIGHTS[0]
GEMM_NR = 2 * WIDTH
gemm_tile = _make_gemm_tile(GEMM_MR, 2)
