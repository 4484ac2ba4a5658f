"""A D3Net as an ONNX graph, as unet_onnx.py has Spleeter's.

Batch norm is folded into the weights here: a runtime that adds up the convolutions of a multidilated one
could not do so itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rtsep.nets.d3net_steps import (
    CONV,
    INPUT,
    MASK,
    POOL,
    SIDES,
    UP,
    D3NetStructure,
    Step,
    Tensor,
    steps_of,
)
from rtsep.nets.registry import ModelConfig
from rtsep.training import unet_onnx
from rtsep.training.unet_onnx import Graph


def d3net_onnx(
    config: ModelConfig, arrays: Mapping[str, np.ndarray], frames: int, bins: int
) -> bytes:
    """The serialised model of one stem.

    arrays: canonical arrays (rtsep/nets/d3net_steps.py).
    """
    structure = D3NetStructure.of(config.structure)
    graph = Graph({})
    names: dict[Tensor, str] = {}
    for step in steps_of(structure):
        if step.kind == INPUT:
            branch = step.target.branch
            first = structure.first_bin(branch)
            ends = first, first + structure.bins(branch, bins)
            name = graph.slice(step.name, unet_onnx.INPUT, *ends)
        else:
            name = _add_step(graph, step, names, arrays)
        if step.target in names:  # the high band joins the low one
            name = graph.add("Concat", f"{step.name}/join", [names[step.target], name], axis=3)
        names[step.target] = name
    graph.add("Identity" if config.output == "softmax" else "Sigmoid", unet_onnx.OUTPUT, [name])
    shape = [1, SIDES, frames, bins]
    return graph.serialise(shape, shape)


def _add_step(
    graph: Graph, step: Step, names: Mapping[Tensor, str], arrays: Mapping[str, np.ndarray]
) -> str:
    layer = step.name
    together = [tensor for tensor, dilation in step.sources if dilation == 1]
    x = names[together[0]]
    if len(together) > 1:
        sources = [names[tensor] for tensor in together]
        x = graph.add("Concat", f"{layer}/concat", sources, axis=1)
    if step.kind == POOL:
        return graph.add("AveragePool", layer, [x], kernel_shape=[2, 2], strides=[2, 2])
    kernel, bias = arrays[f"{layer}/kernel"], arrays[f"{layer}/bias"]
    if step.kind != MASK:
        scale = arrays[f"{layer}/scale"]
        kernel = kernel * (scale[:, None] if step.kind == UP else scale)
        bias = bias * scale + arrays[f"{layer}/shift"]
    parts = [(x, sum(tensor.channels for tensor in together), 1)]
    parts += [(names[t], t.channels, dilation) for t, dilation in step.sources if dilation > 1]
    y, first = "", 0
    for source, channels, dilation in parts:
        part = f"{layer}/{dilation}"
        weights = kernel if step.kind == UP else kernel[:, :, first : first + channels]
        graph.arrays |= {f"{part}/kernel": weights, f"{part}/bias": bias if not y else 0 * bias}
        if step.kind == UP:
            sums = graph.convolve("ConvTranspose", part, source, strides=[2, 2])
        elif step.kind == CONV:
            pads, dilations = [dilation] * 4, [dilation] * 2
            sums = graph.convolve("Conv", part, source, pads=pads, dilations=dilations)
        else:
            sums = graph.convolve("Conv", part, source)
        y = graph.add("Add", f"{part}/added", [sums, y]) if y else sums
        first += channels
    return y if step.kind == MASK else graph.activate(layer, y, "relu")
