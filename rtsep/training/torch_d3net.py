"""D3Net in torch, to be trained: the twin of `rtsep/nets/d3net.py`, step by step.

What it computes and where that comes from: rtsep/nets/d3net_steps.py. As in torch_unet.py, batch norm
is not folded here, and what was taken over from canonical arrays has settled batch norm.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from rtsep.nets.arrays import BATCH_NORM_EPSILON
from rtsep.nets.d3net_steps import (
    CONV,
    INPUT,
    MASK,
    POOL,
    TAPS,
    UP,
    D3NetStructure,
    Step,
    Tensor,
    steps_of,
)
from rtsep.nets.registry import ModelConfig
from rtsep.training.torch_unet import NORM_STEPS_MAX, NORM_STEPS_MIN


class TorchD3Net(nn.Module):
    """One stem's net.

    config: of the model.  dropout: part of a D2 block's output that is dropped while training.
    random: draws the weights (He et al., ICCV 2015, uniform).
    """

    def __init__(self, config: ModelConfig, dropout: float, random: torch.Generator):
        super().__init__()
        assert isinstance(config.structure, D3NetStructure)
        self._structure = config.structure
        self._steps = steps_of(self._structure)
        self._dropout = dropout
        self._last_use = {
            tensor: index for index, step in enumerate(self._steps) for tensor, _ in step.sources
        }
        self.layers = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        self.settled: frozenset[str] = frozenset()
        for step in self._steps:
            if step.kind not in TAPS:
                continue
            make = nn.ConvTranspose2d if step.kind == UP else nn.Conv2d
            size, stride = TAPS[step.kind], 2 if step.kind == UP else 1
            is_mask, out = step.kind == MASK, step.target.channels
            layer = make(step.channels_in, out, size, stride=stride, bias=is_mask)
            # Each output pixel of an UP step sees one of its taps.
            seen = 1 if step.kind == UP else size * size
            limit = math.sqrt(6 / (seen * step.channels_in))
            nn.init.uniform_(layer.weight, -limit, limit, generator=random)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            self.layers[step.name] = layer
            if not is_mask:
                self.norms[step.name] = nn.BatchNorm2d(out, eps=BATCH_NORM_EPSILON)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """(batch, 2, frames, bins) to logits of the same shape; a mask is their sigmoid."""
        images: dict[Tensor, torch.Tensor] = {}
        bins = magnitudes.shape[-1]
        for index, step in enumerate(self._steps):
            if step.kind == INPUT:
                branch = step.target.branch
                first = self._structure.first_bin(branch)
                y = magnitudes[..., first : first + self._structure.bins(branch, bins)]
            else:
                y = self._computed(step, images)
            if step.target in images:  # the high band joins the low one
                y = torch.cat([images[step.target], y], -1)
            images[step.target] = y
            for tensor, _ in step.sources:
                if self._last_use[tensor] == index:
                    del images[tensor]
        return y

    def _computed(self, step: Step, images: Mapping[Tensor, torch.Tensor]) -> torch.Tensor:
        together = [images[tensor] for tensor, dilation in step.sources if dilation == 1]
        x = together[0] if len(together) == 1 else torch.cat(together, 1)
        if step.kind == POOL:
            return F.avg_pool2d(x, 2)
        layer = self.layers[step.name]
        if step.kind == CONV:
            y = self._multidilated(step, x, images)
        else:
            y = layer(x)
        if step.kind == MASK:
            return y
        return F.relu(self.norms[step.name](y))

    def _multidilated(
        self, step: Step, x: torch.Tensor, images: Mapping[Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """The sum of a convolution for each dilation; x: the sources of dilation 1."""
        parts = [(x, 1)]
        parts += [(images[tensor], dilation) for tensor, dilation in step.sources if dilation > 1]
        kernels = self.layers[step.name].weight.split([part.shape[1] for part, _ in parts], 1)
        convolved = [
            F.conv2d(part, kernel, padding=dilation, dilation=dilation)
            for (part, dilation), kernel in zip(parts, kernels)
        ]
        y = convolved[0]
        for one in convolved[1:]:
            y = y + one
        return F.dropout(y, self._dropout, self.training) if self._dropout else y

    def train(self, mode: bool = True) -> TorchD3Net:
        """As torch's; the batch norm of settled layers stays as it is."""
        super().train(mode)
        for name in self.settled:
            self.norms[name].eval()
        return self

    def set_step(self, step: int) -> None:
        """Let batch norm forget at the pace of step `step`, as TorchUNet.set_step does."""
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
                if layer.bias is not None:
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
            if layer.bias is not None:
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
