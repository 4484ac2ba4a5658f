"""D3Net as a compiled function: one call without the GIL for a window.

Its steps come as tables (d3net_layout.py), so one function serves every structure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtsep.nets.d3net_steps import CONV, INPUT, KINDS, MASK, POINT, POOL, UP
from rtsep_kernels.jit import kernel
from rtsep_kernels.planes import planes_conv, planes_masks, planes_pool, planes_take_in, planes_up
from rtsep_kernels.records import Array, Ints, PlanesLayer

_INPUT, _CONV, _POINT, _POOL, _UP, _MASK = (
    KINDS.index(kind) for kind in (INPUT, CONV, POINT, POOL, UP, MASK)
)


class Constants(NamedTuple):
    """The constants of one net, packed for this processor.

    Attributes
    ----------
    weights, shifts : (any,) float32
        Those of all steps, one after the other: see pack.pack_planes.
    logits_only : bool
        Leave the sigmoid out: the stems share a softmax.
    """

    weights: Array
    shifts: Array
    logits_only: bool


class Buffers(NamedTuple):
    """What a running net writes, and the tables that say where. One user at a time.

    Attributes
    ----------
    operations, sources : int64
        See d3net_layout.Layout.
    values : (any,) float32
        All images. Writer and readers: each step and those behind it.
    scratch : (any,) float32
        Rows of an UP step before they are interleaved.
    runs : (any,) int64
        The taps of a row. Writer and reader: each convolution.
    """

    operations: Ints
    sources: Ints
    values: Array
    scratch: Array
    runs: Ints


@kernel
def forward(constants: Constants, buffers: Buffers, magnitudes: Array, masks: Array) -> None:
    """Masks (T, 2, F) of magnitudes (T, F, 2). Real-time safe: it allocates nothing."""
    weights, shifts, values = constants.weights, constants.shifts, buffers.values
    for n in range(len(buffers.operations)):
        operation = buffers.operations[n]
        kind = operation[0]
        sources = buffers.sources[operation[1] : operation[2]]
        layer = PlanesLayer(
            weights_at=operation[3],
            shifts_at=operation[4],
            steps=operation[5],
            channels=operation[6],
            origin=operation[7],
            frame_stride=operation[8],
            channel_stride=operation[9],
            rows=operation[10],
            width=operation[11],
            slope=np.float32(1.0 if kind == _MASK else 0.0),
        )
        if kind == _INPUT:
            planes_take_in(magnitudes, operation[12], layer, values)
        elif kind == _POOL:
            planes_pool(values, sources, layer)
        elif kind == _UP:
            planes_up(values, sources, weights, shifts, layer, buffers.scratch, buffers.runs)
        else:
            planes_conv(values, sources, weights, shifts, layer, buffers.runs)
        if kind == _MASK:
            planes_masks(values, layer, constants.logits_only, masks)
