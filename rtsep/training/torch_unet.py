"""Spleeter's U-Net in torch, to be trained: the twin of `rtsep/nets/unet.py`.

It has what only training needs besides: dropout, and batch norm that is not folded (torch_net.py).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from rtsep.nets.arrays import DECODER_INPUTS, DECODER_OUTPUTS, ENCODER_CHANNELS
from rtsep.nets.buffers import LEVELS
from rtsep.nets.registry import ModelConfig
from rtsep.training.torch_net import ACTIVATIONS, TorchNet

# Upward layers whose outputs are dropped while training.
DROPPED = 3


class TorchUNet(TorchNet):
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
        for level in range(1, LEVELS + 1):
            inputs, outputs = ENCODER_CHANNELS[level - 1 : level + 1]
            self.layers[f"conv{level}"] = nn.Conv2d(inputs, outputs, 5, stride=2)
            if level < LEVELS:
                self.norm(f"conv{level}", outputs)
        for step, (inputs, outputs) in enumerate(zip(DECODER_INPUTS, DECODER_OUTPUTS), 1):
            # Padding 1 crops one pixel on every side; of the two wanted behind, one is left.
            up = nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=1)
            self.layers[f"up{step}"] = up
            self.norm(f"up{step}", outputs)
        self.layers["mask"] = nn.Conv2d(1, 2, 4, padding=3, dilation=2)
        for name, layer in self.layers.items():
            pixels = layer.kernel_size[0] * layer.kernel_size[1]
            inputs = layer.out_channels if name.startswith("up") else layer.in_channels
            self.draw(name, pixels * inputs, random)

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
