"""What the nets in torch have in common, beside the layers of their kind: batch norm that is not folded.

Weights come from and go to canonical arrays (kinds.py), in which batch norm is folded to a scale and a
shift. What was taken over from there has no statistics any more: its batch norm keeps the mean 0 and the
variance that folding leaves, and trains scale and shift alone ("settled").
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from rtsep.nets.arrays import BATCH_NORM_EPSILON

LEAKY_SLOPE = 0.2
ACTIVATIONS = {
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, LEAKY_SLOPE),
    "elu": F.elu,
}
# The window of batch norm's moving statistics: the last tenth of the steps so far, at most these.
NORM_STEPS_MAX = 100
NORM_STEPS_MIN = 10

Self = TypeVar("Self", bound="TorchNet")


class TorchNet(nn.Module):
    """One net of a model, of convolutions, in torch.

    A subclass fills `layers`, in the order of the canonical arrays, and `norms` with the batch norm of
    those of the same name that have one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        self.settled: frozenset[str] = frozenset()

    def norm(self, name: str, channels: int) -> None:
        """Give the layer called `name` a batch norm."""
        self.norms[name] = nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON)

    def draw(self, name: str, inputs: float, random: torch.Generator) -> None:
        """Draw a layer's weights for so many terms of each sum (He et al., ICCV 2015, uniform)."""
        layer = self.layers[name]
        limit = math.sqrt(6 / inputs)
        nn.init.uniform_(layer.weight, -limit, limit, generator=random)
        nn.init.zeros_(layer.bias)

    def train(self: Self, mode: bool = True) -> Self:
        """As torch's; the batch norm of settled layers stays as it is."""
        super().train(mode)
        for name in self.settled:
            self.norms[name].eval()
        return self

    def set_step(self, step: int) -> None:
        """Let batch norm forget at the pace of step `step` of the training, counted from 0.

        Keras keeps 99 parts of 100, which after a few steps is mostly what it began with.
        """
        momentum = 1 / min(NORM_STEPS_MAX, NORM_STEPS_MIN + step / 10)
        for norm in self.norms.values():
            norm.momentum = momentum

    def freeze(self, name: str) -> None:
        """Train this layer no more."""
        for module in (self.layers[name], *([self.norms[name]] if name in self.norms else [])):
            module.requires_grad_(False)
        self.settled |= {name} & set(self.norms)

    def take(self, arrays: Mapping[str, np.ndarray], layers: Collection[str]) -> None:
        """Take over these layers from canonical arrays; their batch norm is settled."""
        with torch.no_grad():
            for name in layers:
                layer = self.layers[name]
                # HWIO to OIHW and HWOI to IOHW: the same reversal of axes.
                kernel = np.ascontiguousarray(arrays[f"{name}/kernel"].transpose(3, 2, 0, 1))
                layer.weight.copy_(torch.from_numpy(kernel))
                layer.bias.copy_(torch.from_numpy(np.array(arrays[f"{name}/bias"])))
                if name in self.norms:
                    norm = self.norms[name]
                    norm.weight.copy_(torch.from_numpy(np.array(arrays[f"{name}/scale"])))
                    norm.bias.copy_(torch.from_numpy(np.array(arrays[f"{name}/shift"])))
                    norm.running_mean.zero_()
                    norm.running_var.fill_(1 - BATCH_NORM_EPSILON)
        self.settled |= {name for name in layers if name in self.norms}

    def arrays(self) -> dict[str, np.ndarray]:
        """The canonical arrays, float32; batch norm is folded in float64 and rounded once."""
        arrays: dict[str, np.ndarray] = {}
        for name, layer in self.layers.items():
            kernel = layer.weight.detach().cpu().float().numpy().transpose(2, 3, 1, 0)
            arrays[f"{name}/kernel"] = np.ascontiguousarray(kernel)
            arrays[f"{name}/bias"] = layer.bias.detach().cpu().float().numpy().copy()
            if name in self.norms:
                norm = self.norms[name]
                gamma, beta, mean, variance = (
                    tensor.detach().cpu().double().numpy()
                    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
                )
                scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
                arrays[f"{name}/scale"] = scale.astype(np.float32)
                arrays[f"{name}/shift"] = (beta - mean * scale).astype(np.float32)
        return arrays
