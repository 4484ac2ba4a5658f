"""Spleeter's U-Net in torch, to be trained: the twin of `rtsep/nets/unet.py`.

It has what only training needs besides: dropout, and batch norm that is not folded.

Weights come from and go to the canonical arrays of `rtsep/nets/arrays.py`, in which batch norm is
folded to a scale and a shift. What was taken over from there has no statistics any more: its batch norm
keeps the mean 0 and the variance that folding leaves, and trains scale and shift alone ("settled").
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from rtsep.nets.arrays import (
    BATCH_NORM_EPSILON,
    DECODER_INPUTS,
    DECODER_OUTPUTS,
    ENCODER_CHANNELS,
)
from rtsep.nets.buffers import LEVELS
from rtsep.nets.registry import ModelConfig

LEAKY_SLOPE = 0.2
ACTIVATIONS = {
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, LEAKY_SLOPE),
    "elu": F.elu,
}
# Upward layers whose outputs are dropped while training.
DROPPED = 3
# The window of batch norm's moving statistics: the last tenth of the steps so far, at most these.
NORM_STEPS_MAX = 100
NORM_STEPS_MIN = 10


class TorchUNet(nn.Module):
    """One stem's net, with the weights that Spleeter's training begins with.

    config: of the model.  dropout: part that is dropped while training.
    random: draws the weights (He et al., ICCV 2015, uniform; a transposed kernel's inputs are counted
    by its outputs, as Keras does).
    """

    def __init__(self, config: ModelConfig, dropout: float, random: torch.Generator):
        super().__init__()
        self._encoder_activation = ACTIVATIONS[config.encoder_activation]
        self._decoder_activation = ACTIVATIONS[config.decoder_activation]
        self._dropout = dropout
        self.layers = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        for level in range(1, LEVELS + 1):
            inputs, outputs = ENCODER_CHANNELS[level - 1 : level + 1]
            self.layers[f"conv{level}"] = nn.Conv2d(inputs, outputs, 5, stride=2)
            if level < LEVELS:
                self.norms[f"conv{level}"] = nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON)
        for step, (inputs, outputs) in enumerate(zip(DECODER_INPUTS, DECODER_OUTPUTS), 1):
            # Padding 1 crops one pixel on every side; of the two wanted behind, one is left.
            up = nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=1)
            self.layers[f"up{step}"] = up
            self.norms[f"up{step}"] = nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON)
        self.layers["mask"] = nn.Conv2d(1, 2, 4, padding=3, dilation=2)
        self.settled: frozenset[str] = frozenset()
        for name, layer in self.layers.items():
            pixels = layer.kernel_size[0] * layer.kernel_size[1]
            inputs = layer.out_channels if name.startswith("up") else layer.in_channels
            limit = math.sqrt(6 / (pixels * inputs))
            nn.init.uniform_(layer.weight, -limit, limit, generator=random)
            nn.init.zeros_(layer.bias)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """(batch, 2, frames, bins) to logits of the same shape; a mask is their sigmoid."""
        skips = []
        x = magnitudes
        for level in range(1, LEVELS + 1):
            x = self.layers[f"conv{level}"](F.pad(x, (1, 2, 1, 2)))
            skips.append(x)
            if level < LEVELS:
                x = self._encoder_activation(self.norms[f"conv{level}"](x))
        for step in range(1, LEVELS + 1):
            x = self.layers[f"up{step}"](x)[:, :, :-1, :-1]
            x = self.norms[f"up{step}"](self._decoder_activation(x))
            if step <= DROPPED:
                x = F.dropout(x, self._dropout, self.training)
            if step < LEVELS:
                x = torch.cat([skips[LEVELS - 1 - step], x], 1)
        return self.layers["mask"](x)

    def train(self, mode: bool = True) -> TorchUNet:
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


class Nets(nn.Module):
    """All nets of a model, side by side."""

    def __init__(self, config: ModelConfig, dropout: float, seed: int):
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        self._softmax = config.output == "softmax"
        self.nets = nn.ModuleDict(
            {str(n): TorchUNet(config, dropout, random) for n, _ in enumerate(config.net_stems)}
        )

    def __getitem__(self, index: int) -> TorchUNet:
        net = self.nets[str(index)]
        assert isinstance(net, TorchUNet)
        return net

    def __len__(self) -> int:
        return len(self.nets)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """(batch, 2, frames, bins) to masks, (batch, stems, 2, frames, bins)."""
        x = magnitudes.contiguous(memory_format=torch.channels_last)
        logits = torch.stack([net(x) for net in self.nets.values()], 1)
        return logits.softmax(1) if self._softmax else logits.sigmoid()
