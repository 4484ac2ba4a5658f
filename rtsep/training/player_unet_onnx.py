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
    structure = PlayerUNetStructure.of(config.structure)
    graph = Graph(arrays)
    logits = add_player_unet(graph, structure, config, INPUT)
    graph.add("Identity" if config.output == "softmax" else "Sigmoid", OUTPUT, [logits])
    return graph.serialise(
        [1, structure.inputs, frames, bins], [1, structure.outputs, frames, bins]
    )


def add_player_unet(
    graph: Graph, structure: PlayerUNetStructure, config: ModelConfig, x: str, prefix: str = ""
) -> str:
    """Add a U-Net that sees `x`, (1, inputs, frames, bins); returns the name of its logits.

    config: has its activations.  prefix: of its arrays' names.
    """
    levels = structure.levels
    skips = []
    for level in range(1, levels + 1):
        layer = f"{prefix}conv{level}"
        x = graph.convolve("Conv", layer, x, pads=SAME_OF_STRIDE_2, strides=[2, 2])
        x = graph.normalise(layer, x) if level < levels else x
        x = graph.activate(layer, x, config.encoder_activation)
        if level < levels:
            skips.append(graph.convolve("Conv", f"{prefix}skip{level}", x))
    for step in range(1, levels + 1):
        layer = f"{prefix}up{step}"
        x = graph.convolve("ConvTranspose", layer, x, pads=SAME_OF_STRIDE_2, strides=[2, 2])
        if step < levels:
            x = graph.activate(layer, graph.normalise(layer, x), config.decoder_activation)
            x = graph.add("Concat", f"{layer}/concat", [skips[levels - 1 - step], x], axis=1)
    return x
