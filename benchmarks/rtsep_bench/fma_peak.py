"""The machine's peak: fused multiply-adds that wait for nothing but themselves.

Enough independent chains acc = acc * factor + addend run in registers to hide the latency of an FMA
(4 cycles, two started per cycle: 8 at least). Nothing is loaded inside the loop, so what comes out
is what the processor's FMA units give at the clock it has just now.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from rtsep_kernels import vector as v
from rtsep_kernels.jit import host_vector_width, kernel
from rtsep_kernels.pack import aligned_zeros

# The machine's width, whatever kernel set was chosen: the peak is the machine's.
WIDTH = host_vector_width()
# With factor and addend they fit the registers: 32 with AVX-512, 16 elsewhere (NEON has 32 too).
CHAINS = {16: 24, 8: 12, 4: 12}[WIDTH]
UNROLL = 4

FLOP_PER_TURN = 2 * WIDTH * CHAINS * UNROLL
# About 2 ms at 100 GFLOP/s: long against the call, short against a change of clock.
FLOP_PER_CALL = 200_000_000
TURNS = FLOP_PER_CALL // FLOP_PER_TURN


def _make_fma_chains() -> Any:
    @intrinsic
    def fma_chains(typing_context: Any, values: Any, turns: Any) -> tuple[Any, Callable[..., Any]]:
        """values: factor, addend and the start of every chain, W lanes each; receives the ends."""
        signature = types.void(values, types.int64)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            values, turns = args
            base = v.pointer(context, builder, signature.args[0], values, v.int64(0))

            def place(index: int) -> Any:
                return v.advance(builder, base, v.int64(index * WIDTH))

            factor, addend = (v.load(builder, place(index), WIDTH) for index in range(2))
            # Each chain starts elsewhere, or LLVM would see that all are the same and keep one.
            starts = [v.load(builder, place(2 + chain), WIDTH) for chain in range(CHAINS)]

            def turn(_index: v.Value, *chains: v.Value) -> list[v.Value]:
                ends = list(chains)
                for _ in range(UNROLL):
                    ends = [v.multiply_add(builder, chain, factor, addend) for chain in ends]
                return ends

            ends = v.counted_loop(builder, "turn", turns, 1, starts, turn)
            for chain, value in enumerate(ends):
                v.store(builder, value, place(2 + chain))
            return context.get_dummy_value()

        return signature, generate

    return fma_chains


_fma_chains = _make_fma_chains()


@kernel
def fma_chains(values: NDArray[np.float32], turns: int) -> None:
    """Run every chain UNROLL * turns steps: acc = acc * values[factor] + values[addend].

    values: [2 + CHAINS][W] float32, flat: factor, addend, chains; the chains are overwritten.
    """
    _fma_chains(values, turns)


def chain_values() -> NDArray[np.float32]:
    """Values for `fma_chains`: chains that settle at 2, far from denormals and infinity."""
    values = aligned_zeros((2 + CHAINS) * WIDTH)
    values[:WIDTH] = 0.5
    values[WIDTH : 2 * WIDTH] = 1.0
    values[2 * WIDTH :] = np.arange(CHAINS * WIDTH)
    return values


def peak_action() -> Callable[[], None]:
    """A call that does TURNS * FLOP_PER_TURN floating-point operations and little else."""
    values = chain_values()
    return lambda: fma_chains(values, TURNS)
