"""Tile sizes, and why.

A micro-kernel keeps MR x NV vector accumulators in registers: MR rows of A (pixels) by NV vectors
of W output channels. Per step along k it loads NV vectors of B, broadcasts MR scalars of A and does
MR x NV fused multiply-adds. Two things bound the tile:

- enough independent accumulators to hide the FMA latency: at least 8 (4 cycles x 2 per cycle);
- the register file: 32 registers with AVX-512 and NEON, 16 with AVX2 and SSE2.

AVX-512:  8 x 2 = 16 accumulators, 10 loads to 16 FMAs. 12 x 2 would fit the registers, but LLVM then
                  moves the broadcasts of both unrolled steps in front of the FMAs and spills them.
AVX2:     6 x 2 = 12 accumulators,  8 loads to 12 FMAs.
4 lanes:  4 x 2 = 8, which fits the 16 registers of SSE2; NEON has room for 8 x 2.

The other heights finish a row of pixels: rows are powers of two (or 3 x powers of two) wide.
"""

from __future__ import annotations

from .jit import TILES, VECTOR, WIDTH

# Heights (pixels) of the tiles, the largest first; the last is 1 so that any row can be finished.
TILE_HEIGHTS = {16: (8, 4, 2, 1), 8: (6, 4, 2, 1), 4: (4, 3, 2, 1)}[WIDTH]

# Widest panel of output channels: NV = 2 vectors.
PANEL = 2 * WIDTH

# Heights (pixels) of what AMX computes at once, by the panel's vectors. A matrix tile is 16 pixels
# by 16 channels. A product takes 16 cycles and its sum is there after 52: four of them wait for nothing.
MATRIX_HEIGHTS: dict[int, tuple[int, ...]] = (
    {1: (64, 32, 16), 2: (32, 16)} if TILES else {1: (), 2: ()}
)
# ... and its steps: pairs of channels.
MATRIX_STEPS = 16

# Vectors of a panel of a dense layer. With AVX-512 8 x 3 = 24 accumulators, 11 loads to 24 FMAs; 8 x 2
# reach 85 % of its speed. Outputs of a dense layer are made up to whole panels, so that no other width
# is needed; channels of a convolution are rarely a multiple of 3 W.
DENSE_VECTORS = 3 if WIDTH == 16 else 2
DENSE_PANEL = DENSE_VECTORS * WIDTH

# ... and its block of k: 24 kB of weights with AVX-512.
DENSE_STEPS = 128

# Steps that the loop of a micro-kernel takes per turn.
UNROLL = 2

# The fast way's block of k: so many steps of a panel of weights (24 kB with AVX-512, 12 kB with AVX2)
# stay in the first-level cache while every row of pixels passes by: a part of a row of taps, or several
# rows. Sums rest meanwhile, as float32: in the output, or beside an output of pairs.
CHUNK_STEPS = 192

# While they pass, the next chunk is asked for, from the third-level cache or from memory, evenly
# divided among so many tiles or as many as there are: all at once would fill the queue of misses.
ASKING_TILES = 16

# What a chunk is to its sums: the first one, the last one, both or neither.
FIRST, LAST = 1, 2

# Weights of a layer up to this size stay in the second-level cache while the rows of the image pass
# by, so the row loop is outermost; larger layers go panel by panel, each panel over all rows.
ROWS_OUTERMOST_BYTES = 220_000

# Input pixels per step of the thin kernel: each gives 4 outputs, and W dot products (accumulators)
# at a time are transposed and added into one vector.
THIN_PIXELS = WIDTH // 4

# Slack behind every array of packed weights: the last vector load stays inside.
PACK_SLACK = 4096

# GEMM blocks: a packed block of A (MC x KC, 192 kB) lives in the second-level cache, a packed panel
# of B (KC x PANEL, 16-32 kB) in the first.
GEMM_KC = 256
GEMM_MC = 16 * TILE_HEIGHTS[0]


# Planes (micro_planes.py): output channels of a tile at most, bins being in the lanes. A tile of C
# channels by V vectors takes C V sums, V vectors of bins and a broadcast weight: with AVX-512 14 x 2.
PLANES_REGISTERS = {16: 32, 8: 16, 4: 16}[WIDTH]
PLANES_CHANNELS = {16: 14, 8: 6, 4: 6}[WIDTH]
# Vectors at most: more would be of use to one or two channels only.
PLANES_VECTORS = 4
# Bins that pass by at once: a multiple of these, such that what the taps reach of all frames takes about
# so many float32 of the second-level cache.
PLANES_BINS = 128
PLANES_WINDOW = 150_000
# int64 numbers of a run: where it begins, from channel to channel, channels, its first step, and from
# where it is read to what is asked for meanwhile.
RUN_FIELDS = 5


def planes_vectors(channels: int) -> tuple[int, ...]:
    """Vectors of bins of the tiles of so many channels, the widest first; the last is 1."""
    widest = min(PLANES_VECTORS, (PLANES_REGISTERS - 1) // (channels + 1))
    return tuple(vectors for vectors in (widest, 2, 1) if vectors == widest or vectors < widest)


def panel_width(channels: int) -> int:
    """Width of the panels that `channels` output channels are packed in: 2 W or W.

    Raises ValueError where no panel width divides them: such layers go the general way.
    """
    for width in (PANEL, WIDTH):
        if channels % width == 0:
            return width
    raise ValueError(f"{channels} output channels are no multiple of {WIDTH} lanes")


__all__ = [
    "ASKING_TILES", "CHUNK_STEPS", "DENSE_PANEL", "DENSE_STEPS", "DENSE_VECTORS", "FIRST", "GEMM_KC",
    "GEMM_MC", "LAST", "MATRIX_HEIGHTS", "MATRIX_STEPS", "PACK_SLACK", "PANEL", "PLANES_BINS",
    "PLANES_CHANNELS", "PLANES_WINDOW", "ROWS_OUTERMOST_BYTES", "RUN_FIELDS", "THIN_PIXELS",
    "TILE_HEIGHTS", "UNROLL", "VECTOR", "WIDTH", "panel_width", "planes_vectors",
]  # fmt: skip
