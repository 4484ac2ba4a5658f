"""The U-Net as a list of layers, for the general kernels and for the reference.

rtsep.nets.unet runs the net as one compiled function over packed weights; here each layer is an
object with its geometry, its weights in canonical layout and its epilogue.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rtsep.nets.registry import ModelConfig
from rtsep.nets.unet import LEVELS
from rtsep_kernels.conv import conv2d, conv_workspace
from rtsep_kernels.deconv import conv_transpose2d, deconv_workspace
from rtsep_kernels.epilogue import activation, epilogue_parameters
from rtsep_kernels.records import Activation
from rtsep_kernels.shapes import ConvShape, tensorflow_same, tensorflow_same_transposed
from rtsep_kernels.thin import MASK_DILATION, MASK_TAPS

UNET_KERNEL = (5, 5)
UNET_STRIDE = (2, 2)


@dataclass(frozen=True)
class Layer:
    """One layer for an image of fixed size.

    weights: HWIO of a convolution, HWOI of a transposed one, float32.
    epilogue: [5][channels out], see kernels/rtsep_kernels/epilogue.py; act: its activation.
    """

    name: str
    transposed: bool
    shape: ConvShape
    weights: np.ndarray
    epilogue: np.ndarray
    act: Activation

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(time, frequency, channels) of what it reads."""
        pixels = self.shape.small if self.transposed else self.shape.large
        return *pixels, self.weights.shape[3 if self.transposed else 2]

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(time, frequency, channels) of what it writes."""
        pixels = self.shape.large if self.transposed else self.shape.small
        return *pixels, self.weights.shape[2 if self.transposed else 3]

    @property
    def gemm_shape(self) -> tuple[int, int, int]:
        """(m, n, k) of its matrix product: C (m, n) = A (m, k) B (k, n)."""
        channels_in, channels_out = self.input_shape[2], self.output_shape[2]
        if self.transposed:
            return self.shape.small_pixels, self.shape.taps * channels_out, channels_in
        return self.shape.small_pixels, channels_out, self.shape.taps * channels_in

    @property
    def dense_flop(self) -> int:
        """Floating-point operations with every tap counted, also those that fall on padding."""
        return 2 * math.prod(self.gemm_shape)


def unet_layers(
    config: ModelConfig, arrays: Mapping[str, np.ndarray], frames: int, bins: int
) -> list[Layer]:
    """The layers of one stem's net in the order of rtsep.nets.unet.LAYERS.

    arrays: canonical arrays (rtsep/nets/arrays.py).  frames, bins: multiples of 64.
    """
    layers = []
    for level in range(1, LEVELS + 1):
        name = f"conv{level}"
        # conv6 goes to the decoder bare: neither batch norm nor activation.
        act = activation(config.encoder_activation if level < LEVELS else "linear")
        large = frames >> (level - 1), bins >> (level - 1)
        shape = tensorflow_same(large, UNET_KERNEL, UNET_STRIDE)
        bias = arrays[f"{name}/bias"]
        scale, shift = arrays.get(f"{name}/scale"), arrays.get(f"{name}/shift")
        epilogue = epilogue_parameters(len(bias), bias, pre_scale=scale, pre_shift=shift)
        layers.append(Layer(name, False, shape, arrays[f"{name}/kernel"], epilogue, act))
    for step in range(1, LEVELS + 1):
        name = f"up{step}"
        level = LEVELS + 1 - step
        shape = tensorflow_same_transposed(
            (frames >> level, bins >> level), UNET_KERNEL, UNET_STRIDE
        )
        bias, scale, shift = (arrays[f"{name}/{part}"] for part in ("bias", "scale", "shift"))
        epilogue = epilogue_parameters(len(bias), bias, post_scale=scale, post_shift=shift)
        act = activation(config.decoder_activation)
        layers.append(Layer(name, True, shape, arrays[f"{name}/kernel"], epilogue, act))
    taps, dilation = (MASK_TAPS, MASK_TAPS), (MASK_DILATION, MASK_DILATION)
    shape = tensorflow_same((frames, bins), taps, dilation=dilation)
    bias = arrays["mask/bias"]
    act = activation("linear" if config.output == "softmax" else "sigmoid")
    epilogue = epilogue_parameters(len(bias), bias)
    layers.append(Layer("mask", False, shape, arrays["mask/kernel"], epilogue, act))
    return layers


class GeneralLayer:
    """A layer run the general way: im2col and GEMM, or GEMM and col2im.

    x: its input, `layer.input_shape` float32, contiguous.
    """

    def __init__(self, layer: Layer, x: np.ndarray):
        self.layer, self.x = layer, x
        self.weights = np.ascontiguousarray(layer.weights)
        self.out = np.zeros(layer.output_shape, np.float32)
        make_workspace = deconv_workspace if layer.transposed else conv_workspace
        channels = (x.shape[2], self.out.shape[2])[1 if layer.transposed else 0 :]
        self.workspace = make_workspace(layer.shape, *channels)

    def run(self) -> np.ndarray:
        """Compute the layer; returns the output, `layer.output_shape`, overwritten each time."""
        layer = self.layer
        compute = conv_transpose2d if layer.transposed else conv2d
        return compute(
            self.x, self.weights, layer.epilogue, layer.act, layer.shape, self.out, self.workspace
        )
