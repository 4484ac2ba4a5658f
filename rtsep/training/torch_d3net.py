"""D3Net in torch, to be trained: the twin of `rtsep/nets/d3net.py`, step by step.

What it computes and where that comes from: rtsep/nets/d3net_steps.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

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
from rtsep.training.torch_net import TorchNet


class TorchD3Net(TorchNet):
    """One stem's net.

    config: of the model; its structure is a D3NetStructure.  dropout: part of what comes up to a level
    that is dropped while training.  random: draws the weights.
    """

    def __init__(self, config: ModelConfig, dropout: float, random: torch.Generator):
        super().__init__()
        self._structure = D3NetStructure.of(config.structure)
        self._steps = steps_of(self._structure)
        self._dropout = dropout
        self._last_use = {
            tensor: index for index, step in enumerate(self._steps) for tensor, _ in step.sources
        }
        for step in self._steps:
            if step.kind not in TAPS:
                continue
            make = nn.ConvTranspose2d if step.kind == UP else nn.Conv2d
            size, stride, out = TAPS[step.kind], 2 if step.kind == UP else 1, step.target.channels
            self.layers[step.name] = make(step.channels_in, out, size, stride=stride)
            # Each output pixel of an UP step sees one of its taps.
            seen = 1 if step.kind == UP else size * size
            self.draw(step.name, seen * step.channels_in, random)
            if step.kind != MASK:
                self.norm(step.name, out)

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
        y = F.relu(self.norms[step.name](y))
        return F.dropout(y, self._dropout, self.training) if step.kind == UP else y

    def _multidilated(
        self, step: Step, x: torch.Tensor, images: Mapping[Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """The sum of a convolution for each dilation; x: the sources of dilation 1."""
        parts = [(x, 1)]
        parts += [(images[tensor], dilation) for tensor, dilation in step.sources if dilation > 1]
        layer = self.layers[step.name]
        kernels = layer.weight.split([part.shape[1] for part, _ in parts], 1)
        y = layer.bias.reshape(-1, 1, 1)
        for (part, dilation), kernel in zip(parts, kernels):
            y = y + F.conv2d(part, kernel, padding=dilation, dilation=dilation)
        return y
