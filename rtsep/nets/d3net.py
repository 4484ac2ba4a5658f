"""D3Net: constants packed once, buffers allocated once, one compiled call for a window.

    magnitudes (T, F, 2) -> full branch ------------------+
                         -> low branch  --+               +-> D2 block -> mask (T, 2, F)
                         -> high branch --+ joined bins --+

What follows the publication (Takahashi and Mitsufuji, "D3Net: Densely connected multidilated DenseNet
for music source separation", 2021) and what is ours: d3net_steps.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.nets.d3net_forward import Buffers, Constants, forward
from rtsep.nets.d3net_layout import lay_out
from rtsep.nets.d3net_steps import MASK, TAPS, UP, D3NetStructure, Step, steps_of
from rtsep.nets.registry import ModelConfig
from rtsep_kernels.pack import aligned_zeros, pack_planes, planes_steps
from rtsep_kernels.precision import Precision


def _structure(config: ModelConfig) -> D3NetStructure:
    if not isinstance(config.structure, D3NetStructure):
        raise ValueError(f"{config.name} has no structure of a D3Net")
    return config.structure


class D3Net:
    """The constants of one stem's network, packed for this processor. Shared by all its states.

    Parameters
    ----------
    config : ModelConfig
        Of the model that the stem belongs to; its structure is a D3NetStructure.
    arrays : mapping of str to ndarray
        Canonical arrays of one stem (see d3net_steps.py), already checked.
    precision : Precision
        "f32" only.

    Raises
    ------
    ValueError
        For another precision.
    """

    def __init__(
        self,
        config: ModelConfig,
        arrays: Mapping[str, NDArray[np.float32]],
        precision: Precision = "f32",
    ):
        if precision != "f32":
            raise ValueError(f"nets of {config.name} are computed in f32 only: got {precision}")
        self.config, self.structure = config, _structure(config)
        self.precision: Precision = precision
        steps = [step for step in steps_of(self.structure) if step.kind in TAPS]
        weights = np.concatenate([_packed(step, arrays) for step in steps])
        packed = aligned_zeros(weights.size)
        packed[:] = weights
        shifts = np.concatenate([_shift(step, arrays) for step in steps]).astype(np.float32)
        self.constants = Constants(packed, shifts, config.output == "softmax")


def _shift(step: Step, arrays: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """What is added to a step's sums: its bias, through the batch norm."""
    bias = arrays[f"{step.name}/bias"]
    if step.kind == MASK:
        return bias
    return bias * arrays[f"{step.name}/scale"] + arrays[f"{step.name}/shift"]


def _packed(step: Step, arrays: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """A step's weights, times the scale of its batch norm."""
    kernel = arrays[f"{step.name}/kernel"]
    if step.kind == UP:
        kernel = kernel.transpose(0, 1, 3, 2)
    if step.kind != MASK:
        kernel = kernel * arrays[f"{step.name}/scale"]
    if step.kind == UP:
        return np.concatenate([pack_planes(taps) for row in kernel for taps in row])
    return pack_planes(planes_steps(kernel, [tensor.channels for tensor, _ in step.sources]))


class D3NetState:
    """The buffers of one running network: T frames by F bins. One user at a time.

    Parameters
    ----------
    config : ModelConfig
        Of the nets that are going to run.
    frames, bins : int
        T and F, multiples of the structure's grid.

    Raises
    ------
    ValueError
        Where the structure does not take windows of this size.
    """

    def __init__(self, config: ModelConfig, frames: int, bins: int):
        self.frames, self.bins = frames, bins
        self._structure = _structure(config)
        layout = lay_out(self._structure, frames, bins)
        self.buffers = Buffers(
            layout.operations,
            layout.sources,
            aligned_zeros(layout.size),
            aligned_zeros(layout.scratch_size),
            np.zeros(layout.runs_size, np.int64),
        )
        self.buffers.values.fill(0.0)  # memory is there before the sound starts

    def run(self, net: D3Net, magnitudes: NDArray[Any], masks: NDArray[np.float32]) -> None:
        """Compute the masks of one window of frames. Releases the GIL; allocates nothing.

        Parameters
        ----------
        net : D3Net
        magnitudes : (T, F, 2) float32
            Linear STFT magnitudes.
        masks : (T, 2, F) float32
            Receives the mask per channel in 0..1 (or the logits, where the stems of the model share a
            softmax).

        Raises
        ------
        ValueError
            If the net has another structure than the buffers.
        """
        if net.structure != self._structure:
            raise ValueError("the net has another structure than the buffers")
        forward(net.constants, self.buffers, magnitudes, masks)

    @property
    def nbytes(self) -> int:
        """Memory held by the buffers, in bytes."""
        return sum(array.nbytes for array in self.buffers)
