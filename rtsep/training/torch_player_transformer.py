"""A player's transformer in torch, to be trained: the twin of `rtsep/nets/player_transformer.py`."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from rtsep.nets.player_transformer_arrays import (
    BASS,
    CROSS,
    DRUMS,
    FULL,
    OTHER,
    VOCALS,
    BranchShape,
    PlayerTransformerStructure,
    branches,
    player_transformer_shapes,
)
from rtsep.nets.player_transformer_packing import positions
from rtsep.nets.registry import ModelConfig
from rtsep.training.torch_player_unet import TorchPlayerUNet
from rtsep_kernels.layer_norm import EPSILON

# A transformer is dropped less of than a U-Net: 0.1, where that one loses half.
TOKEN_DROPOUT = 0.2
# What the logits begin with, in parts of the usual: masks near a half, from which all can be learnt.
FIRST_LOGITS = 0.1
# The logit of what bass has no mask for: its mask is 1e-13.
SILENT_LOGIT = -30.0
UNET = "unet"


class TorchPlayerTransformer(nn.Module):
    """The net of a model, with weights to begin with.

    config: of the model; its structure is a PlayerTransformerStructure.  dropout: part that is dropped
    while training, of the U-Nets' upward layers; TOKEN_DROPOUT of it where the transformer adds to its
    tokens.  random: draws the weights.
    """

    def __init__(self, config: ModelConfig, dropout: float, random: torch.Generator):
        super().__init__()
        structure = PlayerTransformerStructure.of(config.structure)
        self._structure, self._bins = structure, config.bins
        self._token_dropout = TOKEN_DROPOUT * dropout
        self._branches = {branch.stem: branch for branch in branches(structure, config.bins)}
        self.layers = nn.ModuleDict()
        for branch in self._branches.values():
            self._make_branch(branch, random)
        unets = {
            stem: structure.other if stem == OTHER else structure.unet for stem in (*FULL, OTHER)
        }
        self.unets = nn.ModuleDict(
            {
                stem: TorchPlayerUNet(replace(config, structure=unet), dropout, random)
                for stem, unet in unets.items()
            }
        )

    def _make_branch(self, branch: BranchShape, random: torch.Generator) -> None:
        stem, channels = branch.stem, branch.channels
        blocks = branch.blocks(self._structure.cross_after)
        # The sum of all blocks is to stay as large as one (Radford et al.: GPT-2, 2019).
        share = 1 / math.sqrt(2 * len(blocks))

        def dense(name: str, inputs: int, outputs: int, gain: float = 1.0) -> None:
            layer = nn.Linear(inputs, outputs)
            limit = gain * math.sqrt(3 / inputs)
            nn.init.uniform_(layer.weight, -limit, limit, generator=random)
            nn.init.zeros_(layer.bias)
            self.layers[name] = layer

        def norm(name: str) -> None:
            self.layers[name] = nn.LayerNorm(channels, EPSILON)

        dense(f"{stem}/embed", 2 * branch.bins, channels)
        norm(f"{stem}/start")
        for block in blocks:
            norm(f"{block}/attend/norm")
            if block.endswith(f"/{CROSS}"):
                norm(f"{block}/attend/other")
            dense(f"{block}/attend/qkv", channels, 3 * channels)
            dense(f"{block}/attend/out", channels, channels, share)
            norm(f"{block}/feed/norm")
            dense(f"{block}/feed/up", channels, branch.widening * channels)
            dense(f"{block}/feed/down", branch.widening * channels, channels, share)
        norm(f"{stem}/end")
        dense(f"{stem}/unembed", channels, 2 * branch.bins, FIRST_LOGITS)
        self.register_buffer(f"{stem}_positions", torch.from_numpy(positions(channels)), False)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """(batch, 2, frames, bins) to logits, (batch, stems, 2, frames, bins), in the order of STEMS."""
        cross_after = self._structure.cross_after
        # (batch, frames, bins, 2), [bin][channel] for each frame.
        roots = magnitudes.sqrt().permute(0, 2, 3, 1)
        tokens = {stem: self._embed(branch, roots) for stem, branch in self._branches.items()}
        for n in range(1, cross_after + 1):
            for stem in FULL:
                tokens[stem] = self._block(f"{stem}/layer{n}", tokens[stem], None)
        vocals, drums = tokens[VOCALS], tokens[DRUMS]
        tokens[VOCALS] = self._block(f"{VOCALS}/{CROSS}", vocals, drums)
        tokens[DRUMS] = self._block(f"{DRUMS}/{CROSS}", drums, vocals)
        for n in range(cross_after + 1, self._structure.layers + 1):
            for stem in FULL:
                tokens[stem] = self._block(f"{stem}/layer{n}", tokens[stem], None)
        for n in range(1, self._structure.bass_layers + 1):
            tokens[BASS] = self._block(f"{BASS}/layer{n}", tokens[BASS], None)
        logits = {
            stem: self._unembed(branch, tokens[stem]) for stem, branch in self._branches.items()
        }
        for stem in FULL:
            logits[stem] = logits[stem] + self.unets[stem](magnitudes)
        silent_bins = self._bins - logits[BASS].shape[3]
        logits[BASS] = F.pad(logits[BASS], (0, silent_bins), value=SILENT_LOGIT)
        # Each stem learns from its own masks: what other makes of them teaches them nothing.
        heard = [magnitudes * logits[stem].detach().sigmoid() for stem in (VOCALS, DRUMS, BASS)]
        other = self.unets[OTHER](torch.cat([magnitudes, *heard], 1))
        return torch.stack([logits[VOCALS], logits[DRUMS], logits[BASS], other], 1)

    def _embed(self, branch: BranchShape, roots: torch.Tensor) -> torch.Tensor:
        stem = branch.stem
        seen = roots[:, :, : branch.bins].flatten(2)
        tokens = self.layers[f"{stem}/start"](self.layers[f"{stem}/embed"](seen))
        return tokens + getattr(self, f"{stem}_positions")[: tokens.shape[1]]

    def _block(self, name: str, tokens: torch.Tensor, other: torch.Tensor | None) -> torch.Tensor:
        """An attention, to `other` tokens or to themselves, and what follows it."""
        heads = self._structure.bass_heads if name.startswith(BASS) else self._structure.heads
        layers, channels = self.layers, tokens.shape[2]
        normed, qkv = layers[f"{name}/attend/norm"](tokens), layers[f"{name}/attend/qkv"]
        if other is None:
            parts = qkv(normed).split(channels, 2)
        else:
            looked_at = layers[f"{name}/attend/other"](other)
            query = F.linear(normed, qkv.weight[:channels], qkv.bias[:channels])
            key_value = F.linear(looked_at, qkv.weight[channels:], qkv.bias[channels:])
            parts = query, *key_value.split(channels, 2)
        q, k, v = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in parts)
        gathered = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        tokens = tokens + self._dropped(layers[f"{name}/attend/out"](gathered))
        wide = layers[f"{name}/feed/up"](layers[f"{name}/feed/norm"](tokens))
        fed = layers[f"{name}/feed/down"](F.gelu(wide, approximate="tanh"))
        return tokens + self._dropped(fed)

    def _dropped(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, self._token_dropout, self.training)

    def _unembed(self, branch: BranchShape, tokens: torch.Tensor) -> torch.Tensor:
        stem = branch.stem
        logits = self.layers[f"{stem}/unembed"](self.layers[f"{stem}/end"](tokens))
        return logits.unflatten(2, (branch.bins, 2)).permute(0, 3, 1, 2)

    def set_step(self, step: int) -> None:
        """Let batch norm forget at the pace of step `step` of the training, counted from 0."""
        for net in self.unets.values():
            net.set_step(step)

    def freeze(self, name: str) -> None:
        """Train this layer no more."""
        stem, _, rest = name.partition(f"/{UNET}/")
        if rest:
            self.unets[stem].freeze(rest)
        else:
            self.layers[name].requires_grad_(False)

    def take(self, arrays: Mapping[str, np.ndarray], layers: Collection[str]) -> None:
        """Take over these layers from canonical arrays; their batch norm is settled (torch_net.py)."""
        for stem, net in self.unets.items():
            prefix = f"{stem}/{UNET}/"
            mine = {name.removeprefix(prefix): array for name, array in arrays.items()}
            net.take(
                mine, [name.removeprefix(prefix) for name in layers if name.startswith(prefix)]
            )
        with torch.no_grad():
            for name in layers:
                if name not in self.layers:
                    continue
                layer = self.layers[name]
                if isinstance(layer, nn.LayerNorm):
                    weight, bias = arrays[f"{name}/scale"], arrays[f"{name}/shift"]
                else:
                    weight, bias = arrays[f"{name}/kernel"], arrays[f"{name}/bias"]
                    # Torch's are (outputs, inputs), as that of a transposed convolution is.
                    weight = weight.reshape(-1, weight.shape[-1])
                    weight = weight if name.endswith("/unembed") else weight.T
                layer.weight.copy_(torch.from_numpy(np.array(weight)))
                layer.bias.copy_(torch.from_numpy(np.array(bias).reshape(-1)))

    def arrays(self) -> dict[str, np.ndarray]:
        """The canonical arrays, float32."""
        found: dict[str, np.ndarray] = {}
        for name, layer in self.layers.items():
            weight, bias = (
                tensor.detach().cpu().float().numpy().copy()
                for tensor in (layer.weight, layer.bias)
            )
            if isinstance(layer, nn.LayerNorm):
                found |= {f"{name}/scale": weight, f"{name}/shift": bias}
            else:
                weight = weight if name.endswith("/unembed") else weight.T
                found |= {f"{name}/kernel": weight, f"{name}/bias": bias}
        for stem, net in self.unets.items():
            found |= {f"{stem}/{UNET}/{name}": array for name, array in net.arrays().items()}
        shapes = player_transformer_shapes(self._structure, self._bins)
        return {
            name: np.ascontiguousarray(found[name]).reshape(shape) for name, shape in shapes.items()
        }
