"""What AMX's tiles do of a conv row: matrix products of 16 pixels by 16 channels.

A tile register holds 16 rows of 64 bytes. tdpbf16ps adds to the float32 sums of 16 pixels by 16 channels
the products of 16 pairs: A is read in place, a row per pixel, and B is the packed panel, a row per step.
Sums go to memory, where the epilogue's vector code finds them.

Only in a process that may use the registers (jit.TILES), between `tiles_begin` and `tiles_end`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from . import vector as v
from .blocking import MATRIX_STEPS, WIDTH
from .jit import TILES
from .products import is_pairs
from .records import Chunk, Elements, Image

_ROWS = 16
_LINE = 16
# A turn of 64 cycles asks for an eighth of what it multiplies with: more is in the way of its own loads.
_ASKED = 8
_NUMBER, _ADDRESS = ir.IntType(8), ir.IntType(8).as_pointer()


def call(builder: v.Builder, name: str, *arguments: v.Value) -> None:
    """Emit one of AMX's instructions."""
    kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}")
    builder.call(function, arguments)


def number(tile: int) -> v.Value:
    """A tile register, as an instruction's argument."""
    return ir.Constant(_NUMBER, tile)


def move(builder: v.Builder, name: str, tile: int, address: v.Value, stride: v.Value) -> None:
    """Load or store a tile. stride: elements from one of its rows to the next."""
    size = builder.mul(stride, v.int64(4))
    call(builder, name, number(tile), builder.bitcast(address, _ADDRESS), size)


def emit_matrix_sums(
    builder: v.Builder,
    height: int,
    nv: int,
    a: v.Value,
    x: Image,
    chunk: Chunk,
    b: v.Value,
    rest: v.Value,
    first: v.Value,
    ahead: tuple[v.Value, v.Value],
) -> None:
    """Emit the sums of `height` pixels by nv * 16 channels over a chunk, from and to `rest`.

    a, b: addresses of the first pixel's pairs and of the chunk's weights. `chunk.steps` is a multiple
    of MATRIX_STEPS. first: whether the sums begin here. ahead: as in micro.py.
    """
    panel = v.int64(nv * WIDTH)
    high = height // _ROWS
    sums = {(p, i): p * nv + i for p in range(high) for i in range(nv)}
    first_b = len(sums)
    first_a = first_b + nv
    a_tiles = 8 - first_a

    def place(p: int, i: int) -> v.Value:
        return v.advance(builder, rest, v.int64(p * _ROWS * nv * WIDTH + i * WIDTH))

    with builder.if_else(first) as (begun, resumed):
        with begun:
            for tile in sums.values():
                call(builder, "tilezero", number(tile))
        with resumed:
            for (p, i), tile in sums.items():
                move(builder, "tileloadd64", tile, place(p, i), panel)
    a_rows = builder.mul(x.pixel_stride, v.int64(_ROWS))

    def tap(_t: v.Value, a_row: v.Value, b_row: v.Value, asked_row: v.Value) -> list[v.Value]:
        def turn(_k: v.Value, a_now: v.Value, b_now: v.Value, asked: v.Value) -> list[v.Value]:
            for line in range(MATRIX_STEPS * nv * WIDTH // (_ASKED * _LINE)):
                v.prefetch(builder, v.advance(builder, asked, v.int64(line * _LINE)))
            for i in range(nv):
                at = v.advance(builder, b_now, v.int64(i * WIDTH))
                move(builder, "tileloadd64", first_b + i, at, panel)
            for p in range(high):
                at = v.advance(builder, a_now, builder.mul(a_rows, v.int64(p)))
                a_tile = first_a + p % a_tiles
                move(builder, "tileloadd64", a_tile, at, x.pixel_stride)
                for i in range(nv):
                    numbers = (number(tile) for tile in (sums[p, i], a_tile, first_b + i))
                    call(builder, "tdpbf16ps", *numbers)
            return [
                v.advance(builder, a_now, v.int64(MATRIX_STEPS)),
                v.advance(builder, b_now, v.int64(MATRIX_STEPS * nv * WIDTH)),
                v.advance(builder, asked, asked_step),
            ]

        starts = [a_row, b_row, asked_row]
        _, b_end, asked = v.counted_loop(builder, "pairs", chunk.steps, MATRIX_STEPS, starts, turn)
        return [v.advance(builder, a_row, x.row_stride), b_end, asked]

    asked_step = builder.mul(ahead[1], v.int64(MATRIX_STEPS // 2))
    v.counted_loop(builder, "tap", chunk.taps, 1, [a, b, ahead[0]], tap)
    for (p, i), tile in sums.items():
        move(builder, "tilestored64", tile, place(p, i), panel)


def load_rests(builder: v.Builder, rest: v.Value, pixels: int, nv: int) -> list[list[v.Value]]:
    """Load the sums of some pixels, vectors [p][vector], from `rest`."""
    return [
        [
            v.load(builder, v.advance(builder, rest, v.int64((p * nv + i) * WIDTH)), WIDTH)
            for i in range(nv)
        ]
        for p in range(pixels)
    ]


def emit_products(builder: v.Builder, count: int) -> None:
    """Emit `count` products of tiles that hold zeros, four of which wait for nothing: see peaks.py."""
    for i in range(count):
        call(builder, "tdpbf16ps", *(number(tile) for tile in (i % 4, 4, 5)))


def emit_configuration(builder: v.Builder, bytes_per_row: Sequence[int]) -> None:
    """Emit the configuration of the eight tiles, of 16 rows each, by their rows' sizes."""
    sizes = [byte for size in bytes_per_row for byte in (size, 0)]
    layout = [1, *[0] * 15, *sizes, *[0] * 16, *[_ROWS] * 8, *[0] * 8]  # palette 1
    kind = ir.ArrayType(ir.IntType(8), len(layout))
    place = cgutils.alloca_once(builder, kind)
    builder.store(ir.Constant(kind, layout), place)
    call(builder, "ldtilecfg", builder.bitcast(place, _ADDRESS))


@intrinsic
def _configure(typing_context: v.Context) -> v.Intrinsic:
    def generate(context: v.Context, builder: v.Builder, signature: Any, args: Any) -> v.Value:
        emit_configuration(builder, [64] * 8)
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _release(typing_context: v.Context) -> v.Intrinsic:
    def generate(context: v.Context, builder: v.Builder, signature: Any, args: Any) -> v.Value:
        call(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


def tiles_begin(values: Elements) -> None:
    """Configure the calling thread's tile registers, if images like `values` use them."""


@overload(tiles_begin, strict=False)
def _tiles_begin(values: v.NumbaType) -> Callable[..., None]:
    if TILES and is_pairs(values):
        return lambda values: _configure()  # type: ignore[call-arg]
    return lambda values: None


def tiles_end(values: Elements) -> None:
    """Give them back: a thread that uses no tiles is switched faster."""


@overload(tiles_end, strict=False)
def _tiles_end(values: v.NumbaType) -> Callable[..., None]:
    if TILES and is_pairs(values):
        return lambda values: _release()  # type: ignore[call-arg]
    return lambda values: None
