"""The contender torch, eager, channels last; and the U-Net in torch that results are held to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from rtsep.nets.registry import UNET, ModelConfig
from rtsep.training.torch_nets import TWINS
from rtsep.training.warm_start import layers_of
from rtsep_bench.contenders import Contender, from_nchw, to_nchw
from rtsep_bench.net_case import read_arrays

LEAKY_SLOPE = 0.2
ACTIVATIONS = {
    "relu": lambda x: F.relu(x, inplace=True),
    "leaky_relu": lambda x: F.leaky_relu(x, LEAKY_SLOPE, inplace=True),
    "elu": lambda x: F.elu(x, inplace=True),
}


class TorchUNet:
    """One stem's net.

    arrays: canonical arrays (rtsep/nets/arrays.py).  dtype: of weights and results.
    """

    def __init__(
        self,
        config: ModelConfig,
        arrays: Mapping[str, np.ndarray],
        dtype: torch.dtype = torch.float32,
    ):
        self.config = config
        self._encoder_activation = ACTIVATIONS[config.encoder_activation]
        self._decoder_activation = ACTIVATIONS[config.decoder_activation]
        self._tensors = {}
        for name, array in arrays.items():
            tensor = torch.from_numpy(np.array(array)).to(dtype)
            if name.endswith("/kernel"):
                # HWIO to OIHW and HWOI to IOHW: the same reversal of axes.
                tensor = tensor.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
            self._tensors[name] = tensor
        self._means = {n: torch.zeros(n, dtype=dtype) for n in self._channel_counts()}
        self._variances = {n: torch.ones(n, dtype=dtype) for n in self._means}

    def __call__(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """(batch, 2, frames, bins) to masks, or logits where stems share a softmax, same shape."""
        skips = []
        x = magnitudes
        for level in range(1, 7):
            x = F.conv2d(F.pad(x, (1, 2, 1, 2)), *self._weights(f"conv{level}"), stride=2)
            skips.append(x)
            if level < 6:
                x = self._encoder_activation(self._normalise(f"conv{level}", x))
        for step in range(1, 7):
            # Padding 1 crops one pixel on every side; of the two wanted behind, one is left.
            x = F.conv_transpose2d(x, *self._weights(f"up{step}"), stride=2, padding=1)
            x = self._decoder_activation(x[:, :, :-1, :-1])
            x = self._normalise(f"up{step}", x)
            if step < 6:
                x = torch.cat([skips[5 - step], x], 1)
        x = F.conv2d(x, *self._weights("mask"), padding=3, dilation=2)
        return x if self.config.output == "softmax" else torch.sigmoid(x)

    def masks(self, magnitudes: np.ndarray) -> np.ndarray:
        """(frames, bins, 2) to (frames, 2, bins), NumPy arrays of the net's dtype."""
        with torch.inference_mode():
            x = torch.from_numpy(to_nchw(magnitudes)).to(self._tensors["mask/bias"].dtype)
            return from_nchw(self(x).numpy())

    def _weights(self, layer: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self._tensors[f"{layer}/kernel"], self._tensors[f"{layer}/bias"]

    def _normalise(self, layer: str, x: torch.Tensor) -> torch.Tensor:
        scale, shift = self._tensors[f"{layer}/scale"], self._tensors[f"{layer}/shift"]
        mean, variance = self._means[len(scale)], self._variances[len(scale)]
        return F.batch_norm(x, mean, variance, scale, shift, eps=0.0)

    def _channel_counts(self) -> set[int]:
        return {len(tensor) for name, tensor in self._tensors.items() if name.endswith("/scale")}


class TorchTwin:
    """A net of another kind: the twin that it is trained as, with these arrays; as TorchUNet."""

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
) -> TorchUNet | TorchTwin:
    """A net of any kind, with its canonical arrays."""
    made = TorchUNet if config.kind == UNET else TorchTwin
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
