"""Layers on planes: images as [frame][channel][bin], for nets whose channels fill no vectors.

A convolution reads any number of sources, each with a dilation of its own and each wherever it lies in
the buffer, so that nothing is ever concatenated: the layers of a dense block write their channels beside
one another, into one buffer. (Multidilated convolution: Takahashi and Mitsufuji, "D3Net: Densely
connected multidilated DenseNet for music source separation", 2021.)

    for each block of bins                what the taps reach of it stays in the second-level cache
      for each frame
        runs                              where each tap of each source begins; those outside left out
        for each group of channels
          micro-kernel                    a row of bins, micro_planes.py

A row adds up its products in the same order whatever else is computed.
"""

from __future__ import annotations

import numpy as np

from .blocking import PLANES_BINS, PLANES_CHANNELS, PLANES_WINDOW, RUN_FIELDS
from .epilogue import sigmoid_f32
from .jit import FAST_MATH, kernel
from .records import Array, Ints, PlanesLayer, PlanesRow
from .tiles import planes_row

# int64 numbers of a source: where its first channel begins, from frame to frame, from channel to
# channel, channels, dilation, taps along each axis (1 or 3).
SOURCE_FIELDS = 6
# Of a step's result, along each axis, for each pixel that comes in.
UP = 2
_LINE = 16


@kernel
def _group_rows(
    x: Array,
    y: Array,
    weights: Array,
    shifts: Array,
    layer: PlanesLayer,
    runs: Ints,
    row: PlanesRow,
) -> None:
    """The row of all channels of a layer; `row` is that of the first group but for its size."""
    groups = -(-layer.channels // PLANES_CHANNELS)
    least, more = layer.channels // groups, layer.channels % groups
    first = 0
    for group in range(groups):
        channels = least + (1 if group < more else 0)
        planes_row(
            x, weights, shifts, y, runs,
            PlanesRow(
                runs=row.runs,
                y_at=row.y_at + first * row.y_stride,
                y_stride=row.y_stride,
                width=row.width,
                channels=channels,
                weights_at=row.weights_at + first * layer.steps,
                shifts_at=row.shifts_at + first,
                slope=row.slope,
            ),
        )  # fmt: skip
        first += channels


@kernel
def _find_runs(sources: Ints, rows: int, width: int, row: int, bins_at: int, runs: Ints) -> int:
    """Write the runs of a row to the table; returns how many. Taps that see zeros only are left out."""
    count, step = 0, 0
    for n in range(len(sources)):
        origin, frame_stride, channel_stride = sources[n, 0], sources[n, 1], sources[n, 2]
        channels, dilation, half = sources[n, 3], sources[n, 4], sources[n, 5] >> 1
        for i in range(-half, half + 1):
            seen = row + i * dilation
            for j in range(-half, half + 1):
                move = j * dilation
                if 0 <= seen < rows and -width < move < width:
                    at = RUN_FIELDS * count
                    runs[at] = origin + seen * frame_stride + move + bins_at
                    runs[at + 1] = channel_stride
                    runs[at + 2] = channels
                    runs[at + 3] = step
                    # Of the newest frame the next one is asked for, a line with each column of taps.
                    runs[at + 4] = frame_stride - move + (j + half) * _LINE if i == half else 0
                    count += 1
                step += channels
    return count


@kernel
def planes_conv(
    values: Array, sources: Ints, weights: Array, shifts: Array, layer: PlanesLayer, runs: Ints
) -> None:
    """A convolution of stride 1 with zeros around: result = activation(sums + shift).

    values: flat, with the sources and the result, which no source overlaps. Before and behind each row
        of a source there are as many zeros as its dilation, where that is less than the width.
    sources: (sources, SOURCE_FIELDS), of as many frames and bins as the result.
    weights, shifts: see pack.pack_planes.  runs: scratch, (sources * 9 * RUN_FIELDS,).
    layer: its width is W at least. Frames outside the image are never read. Real-time safe.
    """
    reach = 0
    for n in range(len(sources)):
        rows = (sources[n, 5] >> 1) * 2 * sources[n, 4] + 1
        reach += sources[n, 3] * min(layer.rows, rows)
    block = max(PLANES_BINS, PLANES_WINDOW // reach // PLANES_BINS * PLANES_BINS)
    for bins_at in range(0, layer.width, block):
        for t in range(layer.rows):
            row = PlanesRow(
                runs=_find_runs(sources, layer.rows, layer.width, t, bins_at, runs),
                y_at=layer.origin + t * layer.frame_stride + bins_at,
                y_stride=layer.channel_stride,
                width=min(block, layer.width - bins_at),
                channels=layer.channels,
                weights_at=layer.weights_at,
                shifts_at=layer.shifts_at,
                slope=layer.slope,
            )
            _group_rows(values, values, weights, shifts, layer, runs, row)


@kernel
def planes_up(
    values: Array,
    sources: Ints,
    weights: Array,
    shifts: Array,
    layer: PlanesLayer,
    scratch: Array,
    runs: Ints,
) -> None:
    """A transposed convolution of 2x2 taps and stride 2: result = activation(sums + shift).

    As planes_conv, with sources of half as many frames and bins; four 1x1 convolutions, of which each
    gives every other frame and bin. scratch: (2 * channels * width of the sources,).
    """
    width = layer.width // UP
    for t in range(layer.rows):
        count = _find_runs(sources, layer.rows // UP, width, t // UP, 0, runs)
        for column in range(UP):
            phase = (t % UP) * UP + column
            row = PlanesRow(
                runs=count,
                y_at=column * width,
                y_stride=UP * width,
                width=width,
                channels=layer.channels,
                weights_at=layer.weights_at + phase * layer.steps * layer.channels,
                shifts_at=layer.shifts_at,
                slope=layer.slope,
            )
            _group_rows(values, scratch, weights, shifts, layer, runs, row)
        for channel in range(layer.channels):
            at = layer.origin + t * layer.frame_stride + channel * layer.channel_stride
            out = values[at : at + UP * width]
            even = scratch[UP * channel * width : (UP * channel + 1) * width]
            odd = scratch[(UP * channel + 1) * width : (UP * channel + 2) * width]
            for f in range(width):
                out[UP * f] = even[f]
                out[UP * f + 1] = odd[f]


@kernel(fastmath=FAST_MATH)
def planes_pool(values: Array, sources: Ints, layer: PlanesLayer) -> None:
    """Means of 2x2 pixels: as planes_conv, with sources of twice as many frames and bins."""
    for t in range(layer.rows):
        at = layer.origin + t * layer.frame_stride
        for n in range(len(sources)):
            for channel in range(sources[n, 3]):
                upper = sources[n, 0] + 2 * t * sources[n, 1] + channel * sources[n, 2]
                lower = upper + sources[n, 1]
                above = values[upper : upper + 2 * layer.width]
                below = values[lower : lower + 2 * layer.width]
                out = values[at : at + layer.width]
                for f in range(layer.width):
                    pair = above[2 * f] + above[2 * f + 1]
                    out[f] = np.float32(0.25) * (pair + (below[2 * f] + below[2 * f + 1]))
                at += layer.channel_stride


@kernel
def planes_take_in(magnitudes: Array, first_bin: int, layer: PlanesLayer, values: Array) -> None:
    """Copy bins of magnitudes (T, F, 2), from `first_bin` on, to two planes."""
    for t in range(layer.rows):
        for side in range(2):
            at = layer.origin + t * layer.frame_stride + side * layer.channel_stride
            for f in range(layer.width):
                values[at + f] = magnitudes[t, first_bin + f, side]


@kernel(fastmath=FAST_MATH)
def planes_masks(values: Array, layer: PlanesLayer, logits_only: bool, masks: Array) -> None:
    """Two planes of logits to masks (T, 2, F): their sigmoid, unless `logits_only`."""
    for t in range(layer.rows):
        for side in range(2):
            at = layer.origin + t * layer.frame_stride + side * layer.channel_stride
            line, out = values[at : at + layer.width], masks[t, side]
            if logits_only:
                for f in range(layer.width):
                    out[f] = line[f]
            else:
                for f in range(layer.width):
                    out[f] = sigmoid_f32(line[f])
