"""How much faster this processor multiplies pairs of bfloat16 than float32: measured, not believed.

Some processors have dot products of pairs that are no faster than their fused multiply-adds, or slower;
a flag says nothing about that. Both run here for some milliseconds on registers alone, in enough
independent chains to hide the latency.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from . import vector as v
from .jit import PAIRS, TILES, VECTOR, WIDTH, kernel
from .micro_tiles import emit_products, tiles_begin, tiles_end
from .pack import aligned_zeros
from .records import Array, Elements

# dpbf16ps takes 6 cycles and an FMA 4, two may begin in each; 16 registers are all that AVX2 has.
_CHAINS = 12
# About 0.1 ms of each kind.
_TURNS, _TILE_TURNS, _ROUNDS = 48_000, 3_000, 8


def _make_chains(pairs: bool) -> Any:
    @intrinsic
    def chains(typing_context: v.Context, values: v.NumbaType, turns: v.NumbaType) -> v.Intrinsic:
        """values: a factor and the start of every chain, W lanes each; receives the ends."""

        def generate(
            context: v.Context, builder: v.Builder, signature: Any, args: tuple[v.Value, ...]
        ) -> v.Value:
            values, turns = args
            base = v.pointer(context, builder, signature.args[0], values, v.int64(0))
            places = [v.advance(builder, base, v.int64(i * WIDTH)) for i in range(1 + _CHAINS)]
            factor, *starts = (v.load(builder, place, WIDTH) for place in places)

            def turn(_index: v.Value, *chains: v.Value) -> list[v.Value]:
                add = v.dot if pairs else v.multiply_add
                return [add(builder, factor, factor, chain) for chain in chains]

            ends = v.counted_loop(builder, "turn", turns, 1, starts, turn)
            for end, place in zip(ends, places[1:]):
                v.store(builder, end, place)
            return context.get_dummy_value()

        return types.void(values, types.int64), generate

    return chains


@intrinsic
def _tile_chains(typing_context: v.Context, turns: v.NumbaType) -> v.Intrinsic:
    def generate(
        context: v.Context, builder: v.Builder, signature: Any, args: tuple[v.Value, ...]
    ) -> v.Value:
        def turn(_index: v.Value) -> list[v.Value]:
            emit_products(builder, _CHAINS)
            return []

        v.counted_loop(builder, "turn", args[0], 1, [], turn)
        return context.get_dummy_value()

    return types.void(types.int64), generate


_float_chains, _pair_chains = _make_chains(False), _make_chains(True)


@kernel
def _run_floats(values: Array, turns: int) -> None:
    _float_chains(values, turns)


@kernel
def _run_pairs(values: Array, turns: int) -> None:
    _pair_chains(values, turns)


@kernel
def _run_tiles(pairs: Elements, turns: int) -> None:
    tiles_begin(pairs)
    _tile_chains(turns)  # type: ignore[call-arg]
    tiles_end(pairs)


def _seconds(run: Callable[..., None], values: Elements, turns: int) -> float:
    start = perf_counter()
    run(values, turns)
    return perf_counter() - start


@cache
def gain_of_pairs() -> float:
    """Peak of the processor's products of pairs over that of float32; 0 where it has none of its own.

    Takes some milliseconds, once a process.
    """
    if PAIRS == "none" or not VECTOR:
        return 0.0
    values = aligned_zeros((1 + _CHAINS) * WIDTH)
    # A chain of its own from each start: LLVM would keep one of several that are equal.
    values[WIDTH:] = np.arange(_CHAINS * WIDTH)
    turns, lanes = (_TILE_TURNS, 16 * 16 * 32) if TILES else (_TURNS, 2 * WIDTH)

    def seconds() -> tuple[float, float]:
        if TILES:
            of_pairs = _seconds(_run_tiles, values.view(np.uint32), turns)
        else:
            of_pairs = _seconds(_run_pairs, values, turns)
        return of_pairs, _seconds(_run_floats, values, _TURNS)

    seconds()  # compiled
    # Side by side, so that a change of the clock meets both.
    pair_s, float_s = (min(times) for times in zip(*(seconds() for _ in range(_ROUNDS))))
    return (lanes * turns / pair_s) / (WIDTH * _TURNS / float_s)
