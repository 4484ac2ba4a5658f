"""Spleeter's U-Net as an ONNX graph: what ONNX Runtime and OpenVINO are given.

NCHW, of fixed size, so that they can plan for it: magnitudes (1, 2, frames, bins) in, masks of the
same shape out. Batch norm stands as BatchNormalization of mean 0 and variance 1, which both
runtimes know how to fuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from rtsep.nets.registry import ModelConfig

# Understood by every ONNX Runtime since 1.13 and OpenVINO since 2023.
OPSET = 17
IR_VERSION = 8
LEAKY_SLOPE = 0.2
INPUT, OUTPUT = "magnitudes", "masks"

# One zero before and two behind, along time and frequency: TensorFlow's `same` for 5 taps and
# stride 2. A transposed convolution crops by the same.
SAME_OF_STRIDE_2 = [1, 1, 2, 2]
SAME_OF_MASK = [3, 3, 3, 3]


def unet_onnx(
    config: ModelConfig, arrays: Mapping[str, np.ndarray], frames: int, bins: int
) -> bytes:
    """The serialised model of one stem.

    arrays: canonical arrays (rtsep/nets/arrays.py).
    """
    graph = Graph(arrays)
    skips = []
    x = INPUT
    for level in range(1, 7):
        layer = f"conv{level}"
        skip = graph.convolve("Conv", layer, x, pads=SAME_OF_STRIDE_2, strides=[2, 2])
        skips.append(skip)
        if level < 6:
            x = graph.normalise(layer, skip)
            x = graph.activate(layer, x, config.encoder_activation)
    x = skips[-1]
    for step in range(1, 7):
        layer = f"up{step}"
        x = graph.convolve("ConvTranspose", layer, x, pads=SAME_OF_STRIDE_2, strides=[2, 2])
        x = graph.activate(layer, x, config.decoder_activation)
        x = graph.normalise(layer, x)
        if step < 6:
            x = graph.add("Concat", f"{layer}/concat", [skips[5 - step], x], axis=1)
    x = graph.convolve("Conv", "mask", x, pads=SAME_OF_MASK, dilations=[2, 2])
    graph.add("Identity" if config.output == "softmax" else "Sigmoid", OUTPUT, [x])
    return graph.serialise([1, 2, frames, bins], [1, 2, frames, bins])


class Graph:
    """Nodes and constants, collected in order; every method returns the name of what it gives."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self.arrays = dict(arrays)
        self.nodes: list = []
        self.constants: dict[str, np.ndarray] = {}

    def add(self, operator: str, output: str, inputs: list[str], **attributes: Any) -> str:
        """A node with one output, of which it has the name."""
        self.nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def convolve(self, operator: str, layer: str, x: str, **attributes: Any) -> str:
        """Conv or ConvTranspose with bias. Both HWIO to OIHW and HWOI to IOHW reverse the axes."""
        kernel = np.ascontiguousarray(self.arrays[f"{layer}/kernel"].transpose(3, 2, 0, 1))
        weights = self.constant(f"{layer}/weights", kernel)
        bias = self.constant(f"{layer}/bias", self.arrays[f"{layer}/bias"])
        return self.add(operator, f"{layer}/sums", [x, weights, bias], **attributes)

    def normalise(self, layer: str, x: str) -> str:
        """Batch norm: x * scale + shift."""
        scale = self.constant(f"{layer}/scale", self.arrays[f"{layer}/scale"])
        shift = self.constant(f"{layer}/shift", self.arrays[f"{layer}/shift"])
        channels = len(self.arrays[f"{layer}/scale"])
        mean = self.constant(f"zeros{channels}", np.zeros(channels, np.float32))
        variance = self.constant(f"ones{channels}", np.ones(channels, np.float32))
        inputs = [x, scale, shift, mean, variance]
        return self.add("BatchNormalization", f"{layer}/normalised", inputs, epsilon=0.0)

    def activate(self, layer: str, x: str, activation: str) -> str:
        """The activation of that name (rtsep/nets/registry.py)."""
        operator, attributes = {
            "relu": ("Relu", {}),
            "leaky_relu": ("LeakyRelu", {"alpha": LEAKY_SLOPE}),
            "elu": ("Elu", {"alpha": 1.0}),
        }[activation]
        return self.add(operator, f"{layer}/activated", [x], **attributes)

    def slice(self, name: str, x: str, first: int, stop: int) -> str:
        """Bins `first` to `stop` - 1 of an image."""
        ends = []
        for end, value in (("first", first), ("stop", stop), ("axis", 3)):
            ends.append(f"{name}/{end}")
            self.constants[ends[-1]] = np.array([value], np.int64)
        return self.add("Slice", name, [x, *ends])

    def serialise(
        self, shape_in: list[int], shape_out: list[int], opset_version: int = OPSET
    ) -> bytes:
        """The model from INPUT to OUTPUT, of these shapes, checked."""
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape_in)],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape_out)],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        opset = helper.make_opsetid("", opset_version)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        checker.check_model(model)
        return model.SerializeToString()

    def constant(self, name: str, value: np.ndarray) -> str:
        """A constant; whole numbers, which are shapes, stay such."""
        kind = np.int64 if value.dtype.kind == "i" else np.float32
        self.constants[name] = np.ascontiguousarray(value, kind)
        return name
