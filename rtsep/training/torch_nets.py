"""All nets of a model in torch, side by side; which class is a kind's twin."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import numpy as np
import torch
from torch import nn

from rtsep.nets.kinds import kind_of, nets_of
from rtsep.nets.registry import D3NET, PLAYER_TRANSFORMER, PLAYER_UNET, UNET, ModelConfig
from rtsep.training.torch_d3net import TorchD3Net
from rtsep.training.torch_player_transformer import TorchPlayerTransformer
from rtsep.training.torch_player_unet import TorchPlayerUNet
from rtsep.training.torch_unet import TorchUNet


class Twin(Protocol):
    """What a training asks of a net; an nn.Module besides. See TorchNet."""

    def __call__(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """(batch, 2, frames, bins) to logits: of the same shape, or (batch, stems, 2, frames, bins)."""
        ...

    def set_step(self, step: int) -> None:
        """The training has come to this step, counted from 0."""
        ...

    def freeze(self, name: str) -> None:
        """Train this layer no more."""
        ...

    def take(self, arrays: Mapping[str, np.ndarray], layers: Collection[str]) -> None:
        """Take over these layers from canonical arrays."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """The canonical arrays, float32."""
        ...


# A configuration, the part that is dropped while training, and what draws the weights.
TWINS: dict[str, Callable[[ModelConfig, float, torch.Generator], nn.Module]] = {
    UNET: TorchUNet,
    PLAYER_UNET: TorchPlayerUNet,
    D3NET: TorchD3Net,
    PLAYER_TRANSFORMER: TorchPlayerTransformer,
}


class Nets(nn.Module):
    """All nets of a model, in the order of kinds.nets_of."""

    def __init__(self, config: ModelConfig, dropout: float, seed: int):
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        self._softmax = config.output == "softmax"
        self._together = kind_of(config).together
        twin = TWINS[config.kind]
        self.nets = nn.ModuleDict(
            {str(n): twin(config, dropout, random) for n, _ in enumerate(nets_of(config))}
        )

    def __getitem__(self, index: int) -> Twin:
        net: Twin = self.nets[str(index)]
        return net

    def __len__(self) -> int:
        return len(self.nets)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """(batch, 2, frames, bins) to masks, (batch, stems, 2, frames, bins)."""
        x = magnitudes.contiguous(memory_format=torch.channels_last)
        logits = [net(x) for net in self.nets.values()]
        of_stems = logits[0] if self._together else torch.stack(logits, 1)
        return of_stems.softmax(1) if self._softmax else of_stems.sigmoid()
