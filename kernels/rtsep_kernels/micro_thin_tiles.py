"""What AMX's tiles do of the transposed convolution to one channel.

The four phases of a pixel's 2x2 cell are the columns of the sums: 16 pixels by 4. Each phase sees the
nine pixels around its own, some with weight zero, a row of three as one run of pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from . import vector as v
from .blocking import MATRIX_STEPS, WIDTH
from .jit import TILES, kernel
from .micro_thin import thin_epilogue
from .micro_tiles import call, emit_configuration, move, number, tiles_end
from .products import is_pairs
from .records import Image, Layer, ThinTile

_PHASES, _ROWS = 4, 16
# Tiles 0 to 3 hold sums, 4 weights, 5 to 7 pixels.
_SUMS, _WEIGHTS, _PIXELS = range(4), 4, (5, 6, 7)
_PIXELS_AT_ONCE = _ROWS * len(_SUMS)
_TAPS = 25


def thin_matrix_pixels(x: Image, layer: Layer, y: Image, row: ThinTile) -> int:
    """Compute the first pixels of a row of x, as many as tiles can, and return their number."""
    return 0


@overload(thin_matrix_pixels, strict=False)
def _thin_matrix_pixels(
    x: v.NumbaType, layer: v.NumbaType, y: v.NumbaType, row: v.NumbaType
) -> Callable[..., int]:
    if TILES and is_pairs(x[0]):
        return lambda x, layer, y, row: _matrix_pixels(x, layer, y, row)
    return lambda x, layer, y, row: 0


@kernel
def _matrix_pixels(x: Image, layer: Layer, y: Image, row: ThinTile) -> int:
    stop = x.pixels // _PIXELS_AT_ONCE * _PIXELS_AT_ONCE
    _configure_thin()  # type: ignore[call-arg]
    for pixel in range(0, stop, _PIXELS_AT_ONCE):
        step, out = pixel * x.pixel_stride, 2 * pixel
        tile = ThinTile(
            row.above + step, row.middle + step, row.below + step, row.even + out, row.odd + out
        )
        _thin_matrix(x, layer, y, tile)
    tiles_end(x.values)
    return stop


@intrinsic
def _configure_thin(typing_context: v.Context) -> v.Intrinsic:
    def generate(context: v.Context, builder: v.Builder, signature: Any, args: Any) -> v.Value:
        narrow, wide = 4 * _PHASES, 64
        emit_configuration(builder, [narrow] * (len(_SUMS) + 1) + [wide] * len(_PIXELS))
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _thin_matrix(
    typing_context: v.Context,
    x: v.NumbaType,
    layer: v.NumbaType,
    y: v.NumbaType,
    tile: v.NumbaType,
) -> v.Intrinsic:
    """Image x, Layer, Image y, ThinTile, for _PIXELS_AT_ONCE pixels: see records.py."""

    def generate(
        context: v.Context, builder: v.Builder, signature: Any, args: tuple[v.Value, ...]
    ) -> v.Value:
        x_type, layer_type, y_type, _ = signature.args
        x, layer, y, tile = (
            v.fields(builder, kind, value) for kind, value in zip(signature.args, args)
        )
        weights_at = builder.mul(x.pixel_stride, v.int64(_TAPS))
        weights = v.pointer(context, builder, layer_type[0], layer.weights, weights_at)
        parameters = v.pointer(context, builder, layer_type[1], layer.epilogue, v.int64(0))
        end = thin_epilogue(builder, parameters, v.fields(builder, layer_type[2], layer.act))
        rows = [
            v.pointer(context, builder, x_type[0], x.values, at)
            for at in (tile.above, tile.middle, tile.below)
        ]
        sums = cgutils.alloca_once(builder, v.F32, _PIXELS_AT_ONCE * _PHASES)
        _sums_of_phases(builder, rows, x.pixel_stride, weights, sums)
        # Two vectors of sums, [pixel][p][q], are a vector of outputs in each of two rows.
        half = WIDTH // _PHASES
        for at in range(0, _PIXELS_AT_ONCE, 2 * half):
            both = [
                end(v.load(builder, v.advance(builder, sums, v.int64(pixel * _PHASES)), WIDTH))
                for pixel in (at, at + half)
            ]
            for p, offset in enumerate((tile.even, tile.odd)):
                lanes = [_PHASES * pixel + 2 * p + q for pixel in range(2 * half) for q in range(2)]
                out = v.pointer(context, builder, y_type[0], y.values, offset)
                vector = builder.shuffle_vector(*both, v.lanes(lanes))
                v.store(builder, vector, v.advance(builder, out, v.int64(2 * at)))
        return context.get_dummy_value()

    return types.void(x, layer, y, tile), generate


def _sums_of_phases(
    builder: v.Builder, rows: list[v.Value], x_pixel: v.Value, weights: v.Value, sums: v.Value
) -> None:
    """Emit sums[pixel][phase] over three runs of three pixels, `rows` their addresses.

    weights: [3 rows][3 columns][pair of channels in][phase].
    """
    stride = v.int64(_PHASES)
    for tile in _SUMS:
        call(builder, "tilezero", number(tile))
    run = builder.mul(x_pixel, v.int64(3))
    for row in rows:

        def turn(_k: v.Value, a: v.Value, b: v.Value) -> list[v.Value]:
            move(builder, "tileloadd64", _WEIGHTS, b, stride)
            for tile in _SUMS:
                pixels = _PIXELS[tile % len(_PIXELS)]
                at = v.advance(builder, a, builder.mul(x_pixel, v.int64(tile * _ROWS)))
                move(builder, "tileloadd64", pixels, at, x_pixel)
                call(builder, "tdpbf16ps", *(number(t) for t in (tile, pixels, _WEIGHTS)))
            return [
                v.advance(builder, a, v.int64(MATRIX_STEPS)),
                v.advance(builder, b, v.int64(MATRIX_STEPS * _PHASES)),
            ]

        _, weights = v.counted_loop(builder, "run", run, MATRIX_STEPS, [row, weights], turn)
    for tile in _SUMS:
        at = v.advance(builder, sums, v.int64(tile * _ROWS * _PHASES))
        move(builder, "tilestored64", tile, at, stride)
