"""What the 32-bit elements of an array are, and how the micro-kernels multiply and store them.

Every image and every array of packed weights counts in elements of 32 bits. Its type says what one is:

    float32   one channel
    uint32    a pair of neighbouring channels in bfloat16, the first one in the lower half

so that one set of loops and addresses serves three kinds of arithmetic, told apart when a kernel is
compiled, by the types of its arguments:

    image     weights   a step of the micro-kernel
    float32   float32   one channel, one fused multiply-add
    uint32    uint32    a pair of channels, one dot product of pairs (vector.dot)
    float32   uint32    one channel, one multiply-add; a vector of weights serves two steps

Sums are float32 always.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from . import vector as v
from .blocking import MATRIX_HEIGHTS, MATRIX_STEPS, TILE_HEIGHTS, UNROLL, WIDTH
from .jit import TILES, kernel
from .records import Elements


def is_pairs(array_type: v.NumbaType) -> bool:
    """Whether the elements of a Numba array type are pairs."""
    return bool(array_type.dtype == types.uint32)


def load_weights(
    builder: v.Builder, kinds: tuple[bool, bool], address: v.Value, nv: int
) -> tuple[list[list[v.Value]], int]:
    """Load the weights of UNROLL steps: vectors [step][vector], and how many elements they took.

    kinds: whether the image's elements are pairs, and the weights'.
    """
    image_pairs, weight_pairs = kinds
    halves = weight_pairs and not image_pairs
    rows = UNROLL // 2 if halves else UNROLL
    loaded = [
        [
            v.load(builder, v.advance(builder, address, v.int64((row * nv + i) * WIDTH)), WIDTH)
            for i in range(nv)
        ]
        for row in range(rows)
    ]
    if halves:
        # The second step takes the pair itself for its float32: what stands in the lower half is
        # below the precision of bfloat16, and packing has allowed for it.
        loaded = [
            vectors
            for row in loaded
            for vectors in ([v.lower_half(builder, pair) for pair in row], row)
        ]
    return loaded, rows * nv * WIDTH


def multiply_add(
    builder: v.Builder, image_pairs: bool, a: v.Value, b: v.Value, total: v.Value
) -> v.Value:
    """One step's products of vectors a (of the image) and b (of the weights), added to `total`."""
    if image_pairs:
        return v.dot(builder, a, b, total)
    return v.multiply_add(builder, a, b, total)


def store(builder: v.Builder, pairs: bool, vectors: list[v.Value], address: v.Value) -> None:
    """Store a pixel's float32 vectors, one behind the other, to consecutive elements."""
    if pairs:
        v.store(builder, v.narrow(builder, vectors), address)
        return
    for i, vector in enumerate(vectors):
        v.store(builder, vector, v.advance(builder, address, v.int64(i * WIDTH)))


def channel_elements(values: Elements, channels: int) -> int:
    """Elements of an image's buffer `values` that `channels` (even) take."""
    return channels // 2 if values.dtype == np.uint32 else channels


@overload(channel_elements, strict=False)
def _channel_elements(values: v.NumbaType, channels: v.NumbaType) -> Callable[..., int]:
    if is_pairs(values):
        return lambda values, channels: channels // 2
    return lambda values, channels: channels


def run_steps(values: Elements, pixel: int) -> int:
    """Steps under a row of five taps, of pixels of `pixel` elements: see pair_steps."""
    return pair_steps(pixel) if values.dtype == np.uint32 else 5 * pixel


@overload(run_steps, strict=False)
def _run_steps(values: v.NumbaType, pixel: v.NumbaType) -> Callable[..., int]:
    if is_pairs(values):
        return lambda values, pixel: pair_steps(pixel)
    return lambda values, pixel: 5 * pixel


@kernel
def pair_steps(pixel: int) -> int:
    """Steps under a row of five taps of pixels of `pixel` pairs: what the kernels take at once.

    Their number is rounded up, with weights of zero: a few pixels more are read than the taps see, and a
    NaN reaches as far.
    """
    at_once = MATRIX_STEPS if TILES else UNROLL
    return -(-5 * pixel // at_once) * at_once


def pixels_behind(pixel: int, pairs: bool) -> int:
    """Zero pixels behind each row that a convolution of stride 2 reads. pixel: its elements."""
    steps = pair_steps(pixel) if pairs else 5 * pixel
    return -(-steps // pixel) - 3


def weight_elements(values: Elements, weights: Elements, steps: int) -> int:
    """Elements of packed weights for `steps` (even) steps and one channel out."""
    halves = values.dtype == np.float32 and weights.dtype == np.uint32
    return steps // 2 if halves else steps


@overload(weight_elements, strict=False)
def _weight_elements(
    values: v.NumbaType, weights: v.NumbaType, steps: v.NumbaType
) -> Callable[..., int]:
    if is_pairs(weights) and not is_pairs(values):
        return lambda values, weights, steps: steps // 2
    return lambda values, weights, steps: steps


def tiles_of(values: Elements, pixels: int) -> int:
    """How many of the tallest tiles there are in a row of pixels, one at least."""
    matrix = TILES and values.dtype == np.uint32
    return max(1, pixels // (MATRIX_HEIGHTS[2][0] if matrix else TILE_HEIGHTS[0]))


@overload(tiles_of, strict=False)
def _tiles_of(values: v.NumbaType, pixels: v.NumbaType) -> Callable[..., int]:
    high = TILE_HEIGHTS[0]
    if is_pairs(values) and TILES:
        high = MATRIX_HEIGHTS[2][0]
    return lambda values, pixels: max(1, pixels // high)


def put_two(values: Elements, at: int, left: Any, right: Any) -> None:
    """Write a pixel of two channels, float32, to element `at` and on."""
    if values.dtype == np.uint32:
        values[at] = _rounded(left) | _rounded(right) << np.uint32(16)
    else:
        values[at], values[at + 1] = left, right


@overload(put_two, strict=False)
def _put_two(
    values: v.NumbaType, at: v.NumbaType, left: v.NumbaType, right: v.NumbaType
) -> Callable[..., None]:
    def put_pair(values: Any, at: int, left: Any, right: Any) -> None:
        values[at] = _rounded(left) | np.uint32(_rounded(right) << np.uint32(16))

    def put_floats(values: Any, at: int, left: Any, right: Any) -> None:
        values[at] = left
        values[at + 1] = right

    return put_pair if is_pairs(values) else put_floats


def get_two(values: Elements, at: int) -> tuple[Any, Any]:
    """Read a pixel of two channels from element `at` on, as float32."""
    if values.dtype == np.uint32:
        return _lower(values[at]), _upper(values[at])
    return values[at], values[at + 1]


@overload(get_two, strict=False)
def _get_two(values: v.NumbaType, at: v.NumbaType) -> Callable[..., tuple[Any, Any]]:
    if is_pairs(values):
        return lambda values, at: (_lower(values[at]), _upper(values[at]))
    return lambda values, at: (values[at], values[at + 1])


@kernel
def _rounded(x: Any) -> Any:
    """The bits of the bfloat16 nearest to a float32, ties to even; NaN stays NaN."""
    bits = np.float32(x).view(np.uint32)
    odd = np.uint32(bits >> np.uint32(16)) & np.uint32(1)
    up = np.uint32(np.uint32(np.uint32(bits + np.uint32(0x7FFF)) + odd) >> np.uint32(16))
    return up if x == x else np.uint32(np.uint32(bits >> np.uint32(16)) | np.uint32(0x40))


@kernel
def _lower(pair: Any) -> Any:
    return np.uint32(pair << np.uint32(16)).view(np.float32)


@kernel
def _upper(pair: Any) -> Any:
    return np.uint32(pair & np.uint32(0xFFFF0000)).view(np.float32)
