"""A player's U-Net as an ONNX graph, as unet_onnx.py has Spleeter's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rtsep.nets.player_unet_arrays import PlayerUNetStructure
from rtsep.nets.registry import ModelConfig
from rtsep.training.unet_onnx import INPUT, OUTPUT, SAME_OF_STRIDE_2, Graph


def player_unet_onnx(
    config: ModelConfig, arrays: Mapping[str, np.ndarray], frames: int, bins: int
) -> bytes:
    """The serialised model of one stem.

    arrays: canonical arrays (rtsep/nets/player_unet_arrays.py).
    """
    structure = config.structure
    assert isinstance(structure, PlayerUNetStructure)
    graph, levels = Graph(arrays), structure.levels
    skips = []
    x = INPUT
    for level in range(1, levels + 1):
        layer = f"conv{level}"
        x = graph.convolve("Conv", layer, x, pads=SAME_OF_STRIDE_2, strides=[2, 2])
        x = graph.normalise(layer, x) if level < levels else x
        x = graph.activate(layer, x, config.encoder_activation)
        if level < levels:
            skips.append(graph.convolve("Conv", f"skip{level}", x))
    for step in range(1, levels + 1):
        layer = f"up{step}"
        x = graph.convolve("ConvTranspose", layer, x, pads=SAME_OF_STRIDE_2, strides=[2, 2])
        if step < levels:
            x = graph.activate(layer, graph.normalise(layer, x), config.decoder_activation)
            x = graph.add("Concat", f"{layer}/concat", [skips[levels - 1 - step], x], axis=1)
    graph.add("Identity" if config.output == "softmax" else "Sigmoid", OUTPUT, [x])
    return graph.serialise(
        [1, structure.inputs, frames, bins], [1, structure.outputs, frames, bins]
    )
