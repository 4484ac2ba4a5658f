"""The kernels in readable NumPy: the same signatures, and the tests' idea of what is right.

Everything is summed in float64, so that a difference is the fast kernel's own rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocking import PLANES_CHANNELS
from .epilogue import ELU, PIECEWISE
from .layer_norm import EPSILON
from .records import Activation, Ints, PlanesLayer
from .shapes import ConvShape

# float32 or float64: layers are chained in the precision that they are handed.
Floats = NDArray[Any]


def to_bf16(x: Floats) -> NDArray[np.uint16]:
    """The bits of the bfloat16 nearest to each float32, ties to even. Not of NaN."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bf16(bits: NDArray[np.uint16]) -> Floats:
    """The float32 values of bfloat16 bits."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def dot(a: Floats, b: Floats, total: Floats) -> Floats:
    """See vector.dot: a, b (any, 2) float32 that bfloat16 holds, total (any,) float32.

    Each step is rounded once, to float32: exactly so where float64 holds its sum.
    """
    for half in (1, 0):
        total = np.float32(np.float64(a[:, half]) * b[:, half] + total)
    return total


def diffused(weights: Floats, halves: bool) -> NDArray[np.uint16]:
    """See rounding.diffused; (rows, columns, channels in, channels out) float32."""
    rows, columns, channels_in, channels_out = weights.shape
    out = np.zeros(weights.shape, np.uint16)
    carry = np.zeros((channels_in, channels_out), np.float32)
    for i in range(rows):
        for j in range(columns)[:: -1 if i % 2 else 1]:
            wanted = weights[i, j] + carry
            bits = to_bf16(wanted)
            held = from_bf16(bits)
            if halves:
                # The float32s around that an odd channel can have, and how many lie between.
                odd = wanted[1::2].view(np.uint32).astype(np.int64)
                words = odd + np.array([1 << 16, 0, -1 << 16]).reshape(3, 1, 1)
                words = words >> 16 << 16 | bits[::2]
                between = np.where(words >> 31 == odd >> 31, np.abs(words - odd), 1 << 32)
                nearest = np.argmin(between, axis=0)[None]
                word = np.take_along_axis(words, nearest, axis=0)[0].astype(np.uint32)
                bits[1::2], held[1::2] = word >> 16, word.view(np.float32)
            out[i, j] = bits
            carry = wanted - held
    return out


def activate(x: Floats, act: Activation) -> Floats:
    """The activation `act`."""
    if act.code == PIECEWISE:
        return np.where(x > 0, x, x * act.slope)
    if act.code == ELU:
        return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
    return 1 / (1 + np.exp(-x))


def apply_epilogue(
    sums: Floats, epilogue: Floats, act: Activation, skip: Floats, y: Floats
) -> None:
    """See epilogue.apply_epilogue."""
    bias, pre_scale, pre_shift, post_scale, post_shift = np.asarray(epilogue, np.float64)
    raw = sums + bias
    if skip.size:
        skip[:] = raw
    y[:] = activate(raw * pre_scale + pre_shift, act) * post_scale + post_shift


def gemm(a: Floats, b: Floats, c: Floats, workspace: object, accumulate: bool) -> None:
    """See gemm.gemm."""
    product = a.astype(np.float64) @ b.astype(np.float64)
    c[:] = c + product if accumulate else product


def _padded(x: Floats, shape: ConvShape) -> Floats:
    """The image with zeros around it, as far as the kernel reaches; and where tap (i, j) starts."""
    reach = [
        (n - 1) * s + (k - 1) * d + 1
        for n, s, k, d in zip(shape.small, shape.stride, shape.kernel, shape.dilation)
    ]
    behind = [max(0, r - b - n) for r, b, n in zip(reach, shape.before, shape.large)]
    around = [(b, a) for b, a in zip(shape.before, behind)]
    return np.pad(x, (*around, (0, 0)))


def _taps(padded: Floats, shape: ConvShape) -> Iterator[Floats]:
    """Views of the padded image, one per tap: (time, frequency, channels) of the small image."""
    (rows, columns), (s0, s1), (d0, d1) = shape.kernel, shape.stride, shape.dilation
    for i in range(rows):
        for j in range(columns):
            last_t = i * d0 + (shape.small[0] - 1) * s0 + 1
            last_f = j * d1 + (shape.small[1] - 1) * s1 + 1
            yield padded[i * d0 : last_t : s0, j * d1 : last_f : s1]


def im2col(x: Floats, shape: ConvShape, columns: Floats) -> Floats:
    """See im2col.im2col."""
    stacked = np.stack(list(_taps(_padded(x, shape), shape)), axis=2)
    columns[:] = stacked.reshape(columns.shape)
    return columns


def col2im(columns: Floats, shape: ConvShape, x: Floats) -> Floats:
    """See im2col.col2im."""
    padded = np.zeros_like(_padded(x, shape), np.float64)
    by_tap = columns.reshape(*shape.small, shape.taps, x.shape[2])
    for tap, view in enumerate(_taps(padded, shape)):
        view += by_tap[:, :, tap]
    (t, f), (t0, f0) = shape.large, shape.before
    x[:] = padded[t0 : t0 + t, f0 : f0 + f]
    return x


def conv2d(
    x: Floats,
    weights: Floats,
    epilogue: Floats,
    act: Activation,
    shape: ConvShape,
    out: Floats,
    workspace: object = None,
    skip: Floats | None = None,
) -> Floats:
    """See conv.conv2d."""
    views = list(_taps(_padded(x.astype(np.float64), shape), shape))
    kernels = weights.reshape(shape.taps, *weights.shape[2:])
    sums = np.sum([view @ kernel for view, kernel in zip(views, kernels)], axis=0)
    skip = np.zeros(0) if skip is None else skip
    apply_epilogue(sums, epilogue, act, skip, out)
    return out


def conv_transpose2d(
    x: Floats,
    weights: Floats,
    epilogue: Floats,
    act: Activation,
    shape: ConvShape,
    out: Floats,
    workspace: object = None,
) -> Floats:
    """See deconv.conv_transpose2d."""
    columns = x.astype(np.float64) @ weights.reshape(-1, weights.shape[3]).T
    sums = np.zeros(out.shape)
    col2im(columns.reshape(shape.small_pixels, -1), shape, sums)
    apply_epilogue(sums, epilogue, act, np.zeros(0), out)
    return out


def resample(
    x: Floats,
    rows: Floats,
    step: int,
    phases: int,
    position: Ints,
    history: Floats,
    out: Floats,
) -> int:
    """See polyphase.resample."""
    fineness, taps = rows.shape[0] - 1, rows.shape[1]
    history[:, taps : taps + len(x)] = x.T
    outputs = position[0] * phases + position[1] + step * np.arange(len(out))
    outputs = outputs[outputs < len(x) * phases]
    newest, remainders = np.divmod(outputs, phases)
    row, between = np.divmod(remainders * fineness, phases)
    share = between[:, np.newaxis] / phases
    wide = np.vstack([rows, rows[-1:]]).astype(np.float64)
    coefficients = (1 - share) * wide[row] + share * wide[row + 1]
    seen = np.lib.stride_tricks.sliding_window_view(history, taps, axis=1)[:, newest + 1]
    out[: len(outputs)] = np.einsum("cnt,nt->nc", seen, coefficients)
    newest, position[1] = divmod(position[0] * phases + position[1] + step * len(outputs), phases)
    position[0] = newest - len(x)
    history[:, :taps] = history[:, len(x) : len(x) + taps].copy()
    return len(outputs)


def _planes(values: Floats, source: Ints, rows: int, width: int) -> Floats:
    """The image (rows, channels, width) of a source of planes, float64."""
    at = source[0] + source[1] * np.arange(rows)[:, np.newaxis, np.newaxis]
    at = at + source[2] * np.arange(source[3])[:, np.newaxis] + np.arange(width)
    return values[at].astype(np.float64)


def _unpacked(weights: Floats, at: int, steps: int, channels: int) -> Floats:
    """Weights (steps, channels out) of pack.pack_planes."""
    parts = []
    for group in np.array_split(np.arange(channels), -(-channels // PLANES_CHANNELS)):
        part = weights[at + steps * group[0] : at + steps * (group[-1] + 1)]
        parts.append(part.reshape(steps, len(group)))
    return np.concatenate(parts, axis=1)


def _put_planes(values: Floats, layer: PlanesLayer, sums: Floats) -> None:
    at = layer.origin + layer.frame_stride * np.arange(layer.rows)[:, np.newaxis, np.newaxis]
    at = at + layer.channel_stride * np.arange(layer.channels)[:, np.newaxis]
    values[at + np.arange(layer.width)] = np.where(sums > 0, sums, sums * layer.slope)


def _planes_sums(
    values: Floats, sources: Ints, weights: Floats, layer: PlanesLayer, size: tuple[int, int]
) -> Floats:
    rows, width = size
    sums, step = np.zeros((rows, layer.channels, width)), 0
    for source in sources:
        dilation, half = int(source[4]), int(source[5]) // 2
        around = half * dilation
        zeros = (around, around), (0, 0), (around, around)
        image = np.pad(_planes(values, source, rows, width), zeros)
        for i in range(2 * half + 1):
            for j in range(2 * half + 1):
                seen = image[i * dilation :][:rows, :, j * dilation :][..., :width]
                taps = weights[step : step + source[3]]
                sums += np.einsum("tcf,co->tof", seen, taps)
                step += int(source[3])
    return sums


def planes_conv(
    values: Floats,
    sources: Ints,
    weights: Floats,
    shifts: Floats,
    layer: PlanesLayer,
    runs: object = None,
) -> None:
    """See planes.planes_conv."""
    taps = _unpacked(weights, layer.weights_at, layer.steps, layer.channels)
    sums = _planes_sums(values, sources, taps, layer, (layer.rows, layer.width))
    shift = shifts[layer.shifts_at : layer.shifts_at + layer.channels]
    _put_planes(values, layer, sums + shift[:, np.newaxis])


def planes_up(
    values: Floats,
    sources: Ints,
    weights: Floats,
    shifts: Floats,
    layer: PlanesLayer,
    scratch: object = None,
    runs: object = None,
) -> None:
    """See planes.planes_up."""
    sums = np.zeros((layer.rows, layer.channels, layer.width))
    for phase in range(4):
        at = layer.weights_at + phase * layer.steps * layer.channels
        taps = _unpacked(weights, at, layer.steps, layer.channels)
        half = layer.rows // 2, layer.width // 2
        sums[phase // 2 :: 2, :, phase % 2 :: 2] = _planes_sums(values, sources, taps, layer, half)
    shift = shifts[layer.shifts_at : layer.shifts_at + layer.channels]
    _put_planes(values, layer, sums + shift[:, np.newaxis])


def planes_pool(values: Floats, sources: Ints, layer: PlanesLayer) -> None:
    """See planes.planes_pool."""
    images = [_planes(values, source, 2 * layer.rows, 2 * layer.width) for source in sources]
    image = np.concatenate(images, axis=1)
    shape = layer.rows, 2, layer.channels, layer.width, 2
    _put_planes(values, layer, image.reshape(shape).mean(axis=(1, 4)))


def gelu(x: Floats) -> Floats:
    """See epilogue.gelu_f32."""
    curve: Floats = x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return curve


def dense(x: Floats, kernel: Floats, bias: Floats, act: bool, y: Floats, onto: bool) -> None:
    """See dense.dense; x (tokens, inputs), kernel (inputs, outputs), y (tokens, outputs)."""
    sums = x.astype(np.float64) @ kernel + bias
    sums = sums + y if onto else sums
    y[:] = gelu(sums) if act else sums


def layer_norm(x: Floats, scale: Floats, shift: Floats, y: Floats) -> None:
    """See layer_norm.layer_norm; x, y (tokens, channels)."""
    x = x.astype(np.float64)
    centred = x - x.mean(1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(1, keepdims=True) + EPSILON)
    y[:] = centred / deviation * scale + shift


def softmax_rows(scores: Floats, scale: float) -> Floats:
    """See softmax.softmax_rows; (rows, columns), returns what the fast one writes in their place."""
    scores = scale * scores.astype(np.float64)
    powers = np.exp(scores - scores.max(1, keepdims=True))
    shares: Floats = powers / powers.sum(1, keepdims=True)
    return shares


def attention(q: Floats, k: Floats, v: Floats, heads: int, y: Floats) -> None:
    """See attention.attention; (tokens, heads x channels of a head) each."""
    size = q.shape[1] // heads
    for first in range(0, q.shape[1], size):
        head = slice(first, first + size)
        scores = q[:, head].astype(np.float64) @ k[:, head].T
        y[:, head] = softmax_rows(scores, 1 / np.sqrt(size)) @ v[:, head]
