"""The contender torch, eager, channels last; and the U-Net in torch that results are held to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from rtsep.nets.registry import UNET, ModelConfig
from rtsep.nets.unet import LAYERS
from rtsep.training.torch_nets import TWINS
from rtsep.training.torch_unet import TorchUNet
from rtsep.training.warm_start import layers_of
from rtsep_bench.contenders import Contender, from_nchw, to_nchw
from rtsep_bench.net_case import read_arrays


class TorchNet:
    """One stem's net: the one that is trained, as it runs afterwards.

    arrays: canonical arrays (rtsep/nets/arrays.py).  dtype: of weights and results.
    """

    def __init__(
        self,
        config: ModelConfig,
        arrays: Mapping[str, np.ndarray],
        dtype: torch.dtype = torch.float32,
    ):
        self._dtype = dtype
        self._shares = config.output == "softmax"
        # The first weights, drawn from here, are all replaced.
        self._net = TorchUNet(config, 0.0, torch.Generator()).to(dtype)
        self._net.take(arrays, LAYERS)
        self._net.eval().to(memory_format=torch.channels_last)

    def __call__(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """(batch, 2, frames, bins) to masks, or logits where stems share a softmax, same shape."""
        logits = self._net(magnitudes)
        return logits if self._shares else torch.sigmoid(logits)

    def masks(self, magnitudes: np.ndarray) -> np.ndarray:
        """(frames, bins, 2) to (frames, 2, bins), NumPy arrays of the net's dtype."""
        with torch.inference_mode():
            return from_nchw(self(torch.from_numpy(to_nchw(magnitudes)).to(self._dtype)).numpy())


class TorchTwin:
    """A net of another kind: the twin that it is trained as, with these arrays; as TorchNet."""

    def __init__(
        self,
        config: ModelConfig,
        arrays: Mapping[str, np.ndarray],
        dtype: torch.dtype = torch.float32,
    ):
        net = TWINS[config.kind](config, 0.0, torch.Generator())
        net.take(arrays, layers_of(config))
        self._net = net.eval().to(dtype=dtype, memory_format=torch.channels_last)
        self._dtype = dtype
        self._logits_only = config.output == "softmax"

    def __call__(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """(1, 2, frames, bins) to masks or logits, (1, 2, frames, bins) or (1, stems, 2, ...)."""
        logits: torch.Tensor = self._net(magnitudes)
        return logits if self._logits_only else torch.sigmoid(logits)

    def masks(self, magnitudes: np.ndarray) -> np.ndarray:
        """(frames, bins, 2) to (frames, 2, bins), or (stems, frames, 2, bins)."""
        with torch.inference_mode():
            x = torch.from_numpy(to_nchw(magnitudes)).to(self._dtype)
            return self(x)[0].transpose(-3, -2).numpy()


def torch_net(
    config: ModelConfig, arrays: Mapping[str, np.ndarray], dtype: torch.dtype = torch.float32
) -> TorchNet | TorchTwin:
    """A net of any kind, with its canonical arrays."""
    made = TorchNet if config.kind == UNET else TorchTwin
    return made(config, arrays, dtype)


class TorchContender(Contender):
    """torch as one would use it: eager, inference mode, channels last, one thread per net."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        config = self.case.config
        self._nets = [torch_net(config, read_arrays(folder, name)) for name in self.case.nets]
        x = torch.from_numpy(to_nchw(self.magnitudes))
        self._magnitudes = x.contiguous(memory_format=torch.channels_last)
        self._masks = [x for _ in self._nets]

    def prepare_thread(self) -> None:
        """One intra-op thread; torch keeps the number per thread."""
        torch.set_num_threads(1)

    def run_net(self, net: int) -> None:
        """See Contender."""
        with torch.inference_mode():
            self._masks[net] = self._nets[net](self._magnitudes)

    def masks(self, net: int) -> np.ndarray:
        """See Contender."""
        return self._masks[net][0].transpose(-3, -2).numpy()
