"""A player's U-Net in torch, to be trained: the twin of `rtsep/nets/player_unet.py`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from rtsep.nets.player_unet_arrays import PlayerUNetStructure
from rtsep.nets.registry import ModelConfig
from rtsep.training.torch_net import ACTIVATIONS, TorchNet

# Upward layers whose outputs are dropped while training.
DROPPED = 3


class TorchPlayerUNet(TorchNet):
    """One stem's net.

    config: of the model; its structure is a PlayerUNetStructure.  dropout: part that is dropped while
    training.  random: draws the weights.
    """

    def __init__(self, config: ModelConfig, dropout: float, random: torch.Generator):
        super().__init__()
        structure = PlayerUNetStructure.of(config.structure)
        self._encoder_activation = ACTIVATIONS[config.encoder_activation]
        self._decoder_activation = ACTIVATIONS[config.decoder_activation]
        self._dropout, self._levels = dropout, structure.levels
        inputs = structure.inputs, *structure.widths
        for level, (channels_in, channels_out) in enumerate(zip(inputs, structure.widths), 1):
            self.layers[f"conv{level}"] = nn.Conv2d(channels_in, channels_out, 5, stride=2)
            self.draw(f"conv{level}", 25 * channels_in, random)
            if level < self._levels:
                self.norm(f"conv{level}", channels_out)
                self.layers[f"skip{level}"] = nn.Conv2d(
                    channels_out, structure.reduced[level - 1], 1
                )
                self.draw(f"skip{level}", channels_out, random)
        outputs = *reversed(structure.reduced), structure.outputs
        for step, (channels_in, channels_out) in enumerate(
            zip(structure.decoder_inputs, outputs), 1
        ):
            # Padding 1 crops one pixel on every side; of the two wanted behind, one is left.
            up = nn.ConvTranspose2d(channels_in, channels_out, 5, stride=2, padding=1)
            self.layers[f"up{step}"] = up
            # Of the 25 taps an output pixel sees one in four.
            self.draw(f"up{step}", 25 / 4 * channels_in, random)
            if step < self._levels:
                self.norm(f"up{step}", channels_out)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """(batch, inputs, frames, bins) to logits, (batch, outputs, frames, bins)."""
        skips = []
        x = magnitudes
        for level in range(1, self._levels + 1):
            name = f"conv{level}"
            x = self.layers[name](F.pad(x, (1, 2, 1, 2)))
            if level < self._levels:
                x = self._encoder_activation(self.norms[name](x))
                skips.append(self.layers[f"skip{level}"](x))
        x = self._encoder_activation(x)
        for step in range(1, self._levels):
            name = f"up{step}"
            x = self.norms[name](self.layers[name](x)[:, :, :-1, :-1])
            x = self._decoder_activation(x)
            if step <= DROPPED:
                x = F.dropout(x, self._dropout, self.training)
            x = torch.cat([skips[self._levels - 1 - step], x], 1)
        return self.layers[f"up{self._levels}"](x)[:, :, :-1, :-1]
